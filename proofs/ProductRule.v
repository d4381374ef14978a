(* The product rule in any ring. Nothing here is special to neural networks: R may
   be commutative or not (think of square matrices), V is a module over it (columns),
   and the derivatives in one direction obey  ds_t = J_t ds_(t-1) + immediate_t.

   Coq 8.16 and MathComp 1.15, as in Debian 12.                                    *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import GRing.Theory.
Local Open Scope ring_scope.

Section Sum_of_products.
Variables (R : ringType) (V : lmodType R).
Variables (J : nat -> R) (immediate : nat -> V) (ds0 : V).

(* The recurrence as a program runs it, forward in time: Horner's form. *)
Fixpoint ds (t : nat) : V := if t is s.+1 then J t *: ds s + immediate t else ds0.

(* J_(k+n) ... J_(k+1): the latest factor stands on the left. *)
Fixpoint product (k n : nat) : R := if n is m.+1 then J (k + n)%N * product k m else 1.

(* Stop n steps back: the n newest summands, and exactly what they miss. *)
Theorem truncation k n :
  ds (k + n) = \sum_(i < n) product (k + i.+1) (n - i.+1) *: immediate (k + i.+1)%N
               + product k n *: ds k.
Proof.
elim: n => [|n IH]; first by rewrite addn0 big_ord0 scale1r add0r.
rewrite addnS /= IH scalerDr scalerA addrAC -addnS; congr (_ + _).
rewrite big_ord_recr /= subnn scale1r scaler_sumr; congr (_ + _).
apply: eq_bigr => i _; rewrite scalerA subSS -(subnSK (ltn_ord i)) /=.
have -> : (k + i.+1 + (n - i.+1).+1 = k + n.+1)%N by rewrite -addnA addnS subnKC.
by rewrite addnS.
Qed.

(* The theorem of the chapter (eq-any-sum): one summand for each use, and s_0. *)
Theorem sum_of_products T :
  ds T = \sum_(1 <= k < T.+1) product k (T - k) *: immediate k + product 0 T *: ds0.
Proof. by rewrite -[T in ds T]add0n truncation big_add1 /= big_mkord. Qed.

(* Reverse mode: a row goes from the last step to the first, and meets each
   immediate derivative on its way. carried T n is the row at step T - n. *)
Variable row : R.
Fixpoint carried (T n : nat) : R :=
  if n is m.+1 then carried T m * J (T - m)%N else row.

(* The same product, bracketed from the left or from the right. *)
Lemma product_first k n : product k n.+1 = product k.+1 n * J k.+1.
Proof.
elim: n k => [|n IH] k; first by rewrite /= addn1 mulr1 mul1r.
change (J (k + n.+2)%N * product k n.+1 = J (k.+1 + n.+1)%N * product k.+1 n * J k.+1).
by rewrite IH mulrA addSnnS.
Qed.

Lemma carriedE T n : (n <= T)%N -> carried T n = row * product (T - n) n.
Proof.
elim: n => [|n IH] nT; first by rewrite mulr1.
by rewrite product_first /= IH ?(ltnW nT) // subnSK // mulrA.
Qed.

(* Forward and reverse mode are one number, bracketed from the right or the left. *)
Theorem forward_is_reverse T :
  row *: ds T = \sum_(1 <= k < T.+1) carried T (T - k) *: immediate k
                + carried T T *: ds0.
Proof.
rewrite sum_of_products scalerDr scaler_sumr scalerA carriedE // subnn; congr (_ + _).
apply: eq_big_nat => k /andP[_ kT].
by rewrite scalerA carriedE ?leq_subr // subKn.
Qed.

End Sum_of_products.

Section Derivation.
Variables (R : ringType) (d : {additive R -> R}).
Hypothesis product_rule : forall x y, d (x * y) = d x * y + x * d y.

(* The linear network h_t = W h_(t-1) + x_t: its derivative is the recurrence above,
   with J_t = W and immediate_t = dW h_(t-1) + dx_t. *)
Variables (W : R) (x : nat -> R) (h0 : R).
Fixpoint h (t : nat) : R := if t is s.+1 then W * h s + x t else h0.

Lemma d_h t : d (h t) = ds (V := [lmodType R of R^o]) (fun=> W)
                (fun k => d W * h k.-1 + d (x k)) (d h0) t.
Proof.
elim: t => [//|t IH] /=.
by rewrite raddfD product_rule -IH -addrA addrCA.
Qed.

Lemma product_const k n : product (fun=> W) k n = W ^+ n.
Proof. by elim: n => [|n IH] //=; rewrite IH exprS. Qed.

Theorem d_linear_network T :
  d (h T) = \sum_(1 <= k < T.+1) W ^+ (T - k) * (d W * h k.-1 + d (x k)) + W ^+ T * d h0.
Proof.
rewrite d_h sum_of_products product_const; congr (_ + _).
by apply: eq_bigr => k _; rewrite product_const.
Qed.

(* Leibniz (eq-any-power): each factor of W^n in its turn. *)
Theorem d_power n : d (W ^+ n) = \sum_(i < n) W ^+ i * d W * W ^+ (n - i.+1).
Proof.
elim: n => [|n IH].
  rewrite big_ord0 expr0; apply: (addrI (d 1)).
  by rewrite addr0 -[in RHS](mulr1 1) product_rule mulr1 mul1r.
rewrite exprS product_rule IH big_ord_recl expr0 mul1r subn1 /=; congr (_ + _).
by rewrite mulr_sumr; apply: eq_bigr => i _; rewrite !mulrA -exprS subSS.
Qed.

(* The network with a nonlinearity: dh_t = D_t d(W h_(t-1) + x_t). *)
Variables (D g : nat -> R).
Hypothesis chain_rule : forall t, d (g t.+1) = D t.+1 * d (W * g t + x t.+1).

(* The eight lines of the chapter "The forgotten rule", for any number of steps. *)
Theorem eight_lines T :
  d (g T) = \sum_(1 <= k < T.+1)
              product (fun j => D j * W) k (T - k) * (D k * (d W * g k.-1 + d (x k)))
            + product (fun j => D j * W) 0 T * d (g 0%N).
Proof.
have -> : d (g T) = ds (V := [lmodType R of R^o]) (fun j => D j * W)
                      (fun k => D k * (d W * g k.-1 + d (x k))) (d (g 0%N)) T.
  elim: T => [//|t IH] /=.
  by rewrite chain_rule raddfD product_rule -IH -addrA addrCA mulrDr mulrA.
by rewrite sum_of_products; congr (_ + _).
Qed.

(* Who forgets the product rule at the last step loses exactly all that comes from
   before it: the newest use alone is left. *)
Corollary forgotten T :
  d (g T.+1) - D T.+1 * (d W * g T + d (x T.+1)) = D T.+1 * W * d (g T).
Proof.
by rewrite chain_rule raddfD product_rule -addrA addrCA mulrDr addrK mulrA.
Qed.
End Derivation.

Print Assumptions truncation.
Print Assumptions sum_of_products.
Print Assumptions forward_is_reverse.
Print Assumptions d_linear_network.
Print Assumptions d_power.
Print Assumptions eight_lines.
Print Assumptions forgotten.
