(* What Readable.v takes as given: that the derivatives of the states exist, and
   follow the recurrence. Fréchet derivatives, any real normed spaces. Then, for
   matrices, the product rule of A h and the chain rule of a function that acts on
   each unit: with the sum rule, all that sigma(W h + U x + b) needs. That this
   step is differentiable is not put together here; it is f_smooth below.

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
  (forall r, derivable sigma r 1) -> is_diff v a da ->
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

Print Assumptions sum_of_products.
Print Assumptions is_diff_mulmx.
Print Assumptions is_diff_map.
