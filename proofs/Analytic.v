(* What Readable.v takes as given: that the derivatives of the states exist, and
   follow the recurrence. First for any steps that are differentiable: Fréchet
   derivatives, any real normed spaces. Then for the plain network, of any size:
   s_t = sigma(W s_(t-1) + U x_t + b) is differentiable, by the product rule of A h
   and the chain rule of a function that acts on each unit. All that is left to
   suppose is that sigma has a derivative at each entry that it meets.

   Coq 8.16, MathComp 1.15, MathComp-Analysis 0.6 (as in Debian 12).            *)
From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp.classical Require Import boolp classical_sets functions.
From mathcomp.analysis Require Import reals signed topology normedtype derive.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope. Local Open Scope classical_set_scope.

Section Any_network.
(* All parameters together form W, in P; states are in S. *)
Variables (R : realType) (P S : normedModType R).
(* s_t = f_t(W, s_(t-1)); inputs are inside f_t, and s_0 may depend on W. *)
Variables (f : nat -> P * S -> S) (s0 : P -> S) (W : P).
Fixpoint s (t : nat) (V : P) : S := if t is r.+1 then f t (V, s r V) else s0 V.

(* Each f_t is differentiable in both arguments together, where the run meets it. *)
Hypothesis f_smooth : forall t, differentiable (f t.+1) (W, s t W).
Hypothesis s0_smooth : differentiable s0 W.

(* The Jacobian of step t: W held fixed. And the immediate derivative: s_(t-1) held fixed. *)
Definition J t (u : S) : S := 'd (f t) (W, s t.-1 W) (0, u).
Definition immediate t (dW : P) : S := 'd (f t) (W, s t.-1 W) (dW, 0).

(* Every state has a derivative. *)
Lemma smooth t : differentiable (s t) W.
Proof.
elim: t => [//|t IH]; apply: (differentiable_comp (f := fun V => (V, s t V))) => //.
exact: differentiable_pair.
Qed.

(* The chain rule for two arguments, (eq-any-total). *)
Lemma total t dW : 'd (s t.+1) W dW = immediate t.+1 dW + J t.+1 ('d (s t) W dW).
Proof.
have both : is_diff W (fun V => (V, s t V)) (fun u => (u, 'd (s t) W u)).
  by apply: is_diff_pair; apply/differentiableP/smooth.
have -> : s t.+1 = f t.+1 \o (fun V => (V, s t V)) by [].
rewrite diff_comp //= ?diff_val /J /immediate //= -linearD.
by congr ('d _ _ _); apply: injective_projections; rewrite /= ?add0r ?addr0.
Qed.

Lemma J_add t u v : J t (u + v) = J t u + J t v.
Proof.
rewrite /J -linearD; congr ('d _ _ _).
by apply: injective_projections; rewrite /= ?addr0.
Qed.

Lemma J_zero t : J t 0 = 0.
Proof. by rewrite /J (_ : (0, 0) = 0) ?linear0. Qed.

(* J_(k+n) ... J_(k+1) u *)
Fixpoint product (k n : nat) (u : S) : S :=
  if n is r.+1 then J (k + n) (product k r u) else u.

(* The theorem of the chapter (eq-any-sum), for every differentiable network. *)
Theorem sum_of_products T dW :
  'd (s T) W dW = \sum_(1 <= k < T.+1) product k (T - k) (immediate k dW)
                  + product 0 T ('d s0 W dW).
Proof.
elim: T => [|T IH]; first by rewrite big_geq // add0r.
rewrite total IH J_add addrA; congr (_ + _); rewrite addrC.
rewrite [in RHS]big_nat_recr //= subnn; congr (_ + _).
rewrite (big_morph (J T.+1) (J_add T.+1) (J_zero T.+1)).
apply: eq_big_nat => k /andP[_ kT].
have -> : (T.+1 - k = (T - k).+1)%N by rewrite subSn.
by rewrite /= addnS subnKC.
Qed.
End Any_network.

Section Tools.
Variables (R : realType) (V W : normedModType R) (v : V).

Lemma is_diff_linear (f : V -> W) :
  linear f -> continuous f -> is_diff v f f.
Proof.
move=> f_linear f_continuous; pose g := Linear f_linear.
by apply: DiffDef; [exact: (linear_differentiable (f := g))
                   |exact: (diff_lin (f := g))].
Qed.

Lemma is_diff_sum n (f df : 'I_n -> V -> W) :
  (forall i, is_diff v (f i) (df i)) ->
  is_diff v (fun u => \sum_i f i u) (fun u => \sum_i df i u).
Proof.
elim: n f df => [|n IH] f df D.
  rewrite (_ : (fun _ => _) = cst 0); last by apply/funext => u; rewrite big_ord0.
  rewrite (_ : (fun u => _) = 0); last by apply/funext => u; rewrite big_ord0.
  exact: is_diff_cst.
rewrite (_ : (fun _ => _) = (fun u => \sum_i f (widen_ord (leqnSn n) i) u) + f ord_max); last first.
  by apply/funext => u; rewrite big_ord_recr.
rewrite (_ : (fun u => \sum_i df i u) = (fun u => \sum_i df (widen_ord (leqnSn n) i) u) + df ord_max); last first.
  by apply/funext => u; rewrite big_ord_recr.
by apply: is_diffD; apply: IH.
Qed.
End Tools.

Section Entries.
Variables (R : realType) (V : normedModType R) (n m : nat) (v : V).

Lemma entry_is_linear (M N : nat) i j : linear (fun A : 'M[R]_(M.+1, N.+1) => A i j : R).
Proof. by move=> c A B; rewrite !mxE. Qed.

Lemma is_diff_entry (f df : V -> 'M[R]_(n.+1, m.+1)) i j :
  is_diff v f df -> is_diff v (fun u => f u i j : R) (fun u => df u i j : R).
Proof.
move=> D; apply: (is_diff_comp (g := fun A : 'M[R]_(n.+1, m.+1) => A i j : R)
                               (dg := fun A : 'M[R]_(n.+1, m.+1) => A i j : R)).
by apply: is_diff_linear; [exact: entry_is_linear | exact: coord_continuous].
Qed.

Lemma is_diff_by_entries (f df : V -> 'cV[R]_n.+1) :
  (forall i, is_diff v (fun u => f u i 0 : R) (fun u => df u i 0 : R)) -> is_diff v f df.
Proof.
move=> D.
have sumE (g : V -> 'cV[R]_n.+1) : g = fun u => \sum_i g u i 0 *: delta_mx i 0.
  apply/funext => u; rewrite [LHS]matrix_sum_delta.
  by apply: eq_bigr => i _; rewrite big_ord1.
rewrite (sumE f) (sumE df); apply: is_diff_sum => i.
apply: (is_diff_comp (f := fun u => f u i 0 : R) (df := fun u => df u i 0 : R)
                     (g := *:%R^~ (delta_mx i 0)) (dg := *:%R^~ (delta_mx i 0))).
Qed.
End Entries.

Section Product_rule.
Variables (R : realType) (V : normedModType R) (v : V) (n m : nat).

(* The product rule for a matrix and a column that both depend on u. *)
Lemma is_diff_mulmx (A dA : V -> 'M[R]_(n.+1, m.+1)) (h dh : V -> 'cV[R]_m.+1) :
  is_diff v A dA -> is_diff v h dh ->
  is_diff v (fun u => A u *m h u) (fun u => dA u *m h v + A v *m dh u).
Proof.
move=> DA Dh; apply: is_diff_by_entries => i.
rewrite (_ : (fun u => (A u *m h u) i 0) = fun u => \sum_j A u i j * h u j 0); last first.
  by apply/funext => u; rewrite mxE.
rewrite (_ : (fun u => (dA u *m h v + A v *m dh u) i 0) =
             fun u => \sum_j (A v i j * dh u j 0 + h v j 0 * dA u i j)); last first.
  apply/funext => u; rewrite !mxE addrC -big_split.
  by apply: eq_bigr => j _; rewrite [dA u i j * _]mulrC.
apply: is_diff_sum => j.
have -> : (fun u => A u i j * h u j 0) = (fun u => A u i j : R) * (fun u => h u j 0 : R).
  by apply/funext.
have -> : (fun u => A v i j * dh u j 0 + h v j 0 * dA u i j) =
          A v i j *: (fun u => dh u j 0 : R) + h v j 0 *: (fun u => dA u i j : R).
  by apply/funext.
by apply: is_diffM; apply: is_diff_entry.
Qed.

(* The chain rule for a function of each entry: a diagonal matrix in front. *)
Definition slopes (sigma : R -> R) (a : 'cV[R]_n.+1) : 'M[R]_n.+1 :=
  diag_mx (\row_i derive1 sigma (a i 0)).

Lemma is_diff_map (sigma : R -> R) (a da : V -> 'cV[R]_n.+1) :
  (forall i, derivable sigma (a v i 0) 1) -> is_diff v a da ->
  is_diff v (fun u => map_mx sigma (a u)) (fun u => slopes sigma (a v) *m da u).
Proof.
move=> smooth Da; apply: is_diff_by_entries => i.
rewrite (_ : (fun u => (map_mx sigma (a u)) i 0) = sigma \o (fun u => a u i 0)); last first.
  by apply/funext => u; rewrite mxE.
rewrite (_ : (fun u => (slopes sigma (a v) *m da u) i 0) = ( *:%R^~ (derive1 sigma (a v i 0))) \o (fun u => da u i 0)); last first.
  by apply/funext => u; rewrite mul_diag_mx !mxE mulrC.
apply: is_diff_comp; first exact: is_diff_entry.
apply: DiffDef; first exact/derivable1_diffP.
exact: deriv1E.
Qed.
End Product_rule.

Section One_step.
Variables (R : realType) (V : normedModType R) (v : V) (n m : nat) (sigma : R -> R).

Lemma is_diff_plus (W : normedModType R) (f df g dg : V -> W) :
  is_diff v f df -> is_diff v g dg ->
  is_diff v (fun u => f u + g u) (fun u => df u + dg u).
Proof. by move=> Df Dg; exact: (is_diffD (f := f) (g := g)). Qed.

(* The parameters and the state before may all depend on u, a point of any normed
   space: the matrix itself, all parameters together, or the time along a curve. *)
Variables (W dW : V -> 'M[R]_n.+1) (U dU : V -> 'M[R]_(n.+1, m.+1)).
Variables (b db h dh : V -> 'cV[R]_n.+1) (x : 'cV[R]_m.+1).
Hypotheses (DW : is_diff v W dW) (DU : is_diff v U dU).
Hypotheses (Db : is_diff v b db) (Dh : is_diff v h dh).

Lemma is_diff_input :
  is_diff v (fun u => W u *m h u + U u *m x + b u)
            (fun u => dW u *m h v + W v *m dh u + dU u *m x + db u).
Proof.
have DUx : is_diff v (fun u => U u *m x) (fun u => dU u *m x).
  have := is_diff_mulmx DU (is_diff_cst x v).
  rewrite (_ : (fun u => dU u *m cst x v + U v *m (0 : V -> 'cV[R]_m.+1) u) = (fun u => dU u *m x)) //.
  by apply/funext => u; rewrite /= mulmx0 addr0.
apply: is_diff_plus Db; apply: is_diff_plus DUx.
exact: is_diff_mulmx.
Qed.

(* sigma(W h + U x + b) as a whole: diag(sigma'(a)) (dW h + W dh + dU x + db). *)
Theorem one_step (a := fun u => W u *m h u + U u *m x + b u) :
  (forall i, derivable sigma (a v i 0) 1) ->
  is_diff v (fun u => map_mx sigma (a u))
            (fun u => slopes sigma (a v) *m (dW u *m h v + W v *m dh u + dU u *m x + db u)).
Proof. by move=> smooth; apply: is_diff_map => //; exact: is_diff_input. Qed.
End One_step.

Section Pairs.
Variables (R : realType) (Q S T : normedModType R).

Lemma is_diff_fst (q : Q) (r : S) (f df : Q -> T) :
  is_diff q f df -> is_diff (q, r) (fun z : Q * S => f z.1) (fun z => df z.1).
Proof.
move=> Df; apply: (is_diff_comp (f := fst) (df := fst) (g := f) (dg := df)) => //.
by apply: is_diff_linear => // z; apply: cvg_fst.
Qed.

Lemma is_diff_snd (z : Q * S) : is_diff z snd snd.
Proof. by apply: is_diff_linear => // y; apply: cvg_snd. Qed.
End Pairs.

Section Plain_network.
(* W, U, b and s_0 may be any differentiable functions of a point p of P. *)
Variables (R : realType) (P : normedModType R) (n m : nat) (sigma : R -> R).
Variables (W dW : P -> 'M[R]_n.+1) (U dU : P -> 'M[R]_(n.+1, m.+1)).
Variables (b db s0 ds0 : P -> 'cV[R]_n.+1) (x : nat -> 'cV[R]_m.+1) (p : P).

Definition layer (t : nat) (z : P * 'cV[R]_n.+1) : 'cV[R]_n.+1 :=
  map_mx sigma (W z.1 *m z.2 + U z.1 *m x t + b z.1).
Notation state := (s layer s0).
Definition a (t : nat) : 'cV[R]_n.+1 := W p *m state t.-1 p + U p *m x t + b p.
Definition D (t : nat) : 'M[R]_n.+1 := slopes sigma (a t).

Hypotheses (DW : is_diff p W dW) (DU : is_diff p U dU).
Hypotheses (Db : is_diff p b db) (Ds0 : is_diff p s0 ds0).
Hypothesis sigma_smooth : forall t i, derivable sigma (a t.+1 i 0) 1.

(* The product rule at each step, forward in time. *)
Fixpoint ds (t : nat) (dp : P) : 'cV[R]_n.+1 :=
  if t is r.+1 then
    D t *m (dW dp *m state r p + W p *m ds r dp + dU dp *m x t + db dp)
  else ds0 dp.

Theorem every_state t : is_diff p (state t) (ds t).
Proof.
elim: t => [|t IH]; first exact: Ds0.
exact: (one_step (x := x t.+1) DW DU Db IH (@sigma_smooth t)).
Qed.

(* What Any_network supposes holds here, so its theorem does. *)
Lemma is_diff_layer t : is_diff (p, state t p) (layer t.+1)
  (fun z => D t.+1 *m (dW z.1 *m state t p + W p *m z.2 + dU z.1 *m x t.+1 + db z.1)).
Proof.
have DW' := is_diff_fst (state t p) DW.
have DU' := is_diff_fst (state t p) DU.
have Db' := is_diff_fst (state t p) Db.
exact: (one_step (x := x t.+1) DW' DU' Db' (is_diff_snd _) (@sigma_smooth t)).
Qed.

Lemma layer_smooth t : differentiable (layer t.+1) (p, state t p).
Proof. by case: (is_diff_layer t). Qed.

Lemma J_layer t u : J layer s0 p t.+1 u = D t.+1 *m (W p *m u).
Proof.
rewrite /J (diff_val (is_diff_def := is_diff_layer t)) /=.
have -> : dW 0 = 0 by rewrite -(diff_val (is_diff_def := DW)) linear0.
have -> : dU 0 = 0 by rewrite -(diff_val (is_diff_def := DU)) linear0.
have -> : db 0 = 0 by rewrite -(diff_val (is_diff_def := Db)) linear0.
by rewrite mul0mx add0r mul0mx addr0 addr0.
Qed.

Lemma immediate_layer t dp : immediate layer s0 p t.+1 dp =
  D t.+1 *m (dW dp *m state t p + dU dp *m x t.+1 + db dp).
Proof.
rewrite /immediate (diff_val (is_diff_def := is_diff_layer t)) /=.
by rewrite mulmx0 addr0.
Qed.

(* D_(k+n) W ... D_(k+1) W u *)
Fixpoint product_DW (k r : nat) (u : 'cV[R]_n.+1) : 'cV[R]_n.+1 :=
  if r is q.+1 then D (k + r) *m (W p *m product_DW k q u) else u.

Lemma product_layer k r u : product layer s0 p k r u = product_DW k r u.
Proof. by elim: r => [//|r IH]; rewrite /= addnS J_layer IH. Qed.

Theorem plain_sum T dp :
  'd (state T) p dp =
    \sum_(1 <= k < T.+1)
       product_DW k (T - k) (D k *m (dW dp *m state k.-1 p + dU dp *m x k + db dp))
    + product_DW 0 T (ds0 dp).
Proof.
have S0 : differentiable s0 p by exact: ex_diff.
rewrite (sum_of_products layer_smooth S0) product_layer (diff_val (is_diff_def := Ds0)).
congr (_ + _); apply: eq_big_nat => -[//|k] _.
by rewrite product_layer immediate_layer.
Qed.
End Plain_network.

(* The same with respect to W alone, in full: U, b and s_0 are held fixed. *)
Section With_respect_to_W.
Variables (R : realType) (n m : nat) (sigma : R -> R) (W : 'M[R]_n.+1).
Variables (U : 'M[R]_(n.+1, m.+1)) (b s0 : 'cV[R]_n.+1) (x : nat -> 'cV[R]_m.+1).

Fixpoint run (t : nat) (A : 'M[R]_n.+1) : 'cV[R]_n.+1 :=
  if t is r.+1 then map_mx sigma (A *m run r A + U *m x t + b) else s0.
Definition input (t : nat) : 'cV[R]_n.+1 := W *m run t.-1 W + U *m x t + b.
Hypothesis sigma_smooth : forall t i, derivable sigma (input t.+1 i 0) 1.

Fixpoint drun (t : nat) (dW : 'M[R]_n.+1) : 'cV[R]_n.+1 :=
  if t is r.+1 then slopes sigma (input t) *m (dW *m run r W + W *m drun r dW) else 0.

Lemma is_diff_run t : is_diff W (run t) (drun t).
Proof.
elim: t => [|t IH]; first exact: is_diff_cst.
have step := one_step (x := x t.+1) (is_diff_id W) (is_diff_cst U W) (is_diff_cst b W)
                      IH (@sigma_smooth t).
rewrite (_ : drun t.+1 = fun dW => slopes sigma (input t.+1) *m
  (dW *m run t W + W *m drun t dW + 0 *m x t.+1 + 0)); first exact: step.
by apply/funext => dW; rewrite mul0mx !addr0.
Qed.

Theorem product_rule t dW :
  [/\ differentiable (run t) W, 'd (run 0) W dW = 0 &
   'd (run t.+1) W dW = slopes sigma (input t.+1) *m (dW *m run t W + W *m 'd (run t) W dW)].
Proof.
have dE r : 'd (run r) W = drun r :> (_ -> _) by case: (is_diff_run r).
split; [by case: (is_diff_run t) | by rewrite dE |].
apply: (etrans (congr1 (fun f => f dW) (dE t.+1))).
by congr (_ *m (_ + _ *m _)); exact: (esym (congr1 (fun f => f dW) (dE t))).
Qed.
End With_respect_to_W.

Print Assumptions sum_of_products.
Print Assumptions one_step.
Print Assumptions every_state.
Print Assumptions plain_sum.
Print Assumptions product_rule.
