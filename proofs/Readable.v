(* The theorem "Sum of products" of the chapter "Any length", and its form for
   truncated gradients. No library is used, and no axiom. The chapter shows
   these lines beside the proof in words.

   Everything is said of one direction dW: the derivative of a state with
   respect to W, applied to dW, is a change of that state.                   *)
Section Sum_of_products.

(* 1. Changes of a state can be added, in any order; one of them is zero. *)
Variables (V : Type) (add : V -> V -> V).
Infix "+" := add.
Variable zero : V.
Hypothesis add_assoc :
  forall a b c, a + (b + c) = (a + b) + c.
Hypothesis add_comm :
  forall a b, a + b = b + a.
Hypothesis add_zero :
  forall a, a + zero = a.

(* 2. Step t has a Jacobian J_t, which is linear, and an immediate
   derivative. The initial state has a derivative, too. *)
Variable J : nat -> V -> V.
Hypothesis J_add :
  forall t a b,
  J t (a + b) = J t a + J t b.
Hypothesis J_zero :
  forall t, J t zero = zero.
Variable immediate : nat -> V.
Variable ds0 : V.

(* 3. The total derivative: ds_t = immediate_t + J_t ds_(t-1). *)
Fixpoint ds (t : nat) : V :=
  match t with
  | 0 => ds0
  | S t => immediate (S t)
           + J (S t) (ds t)
  end.

(* 4. The n Jacobians after step k: J_(k+n) ... J_(k+1) x.
   An empty product is the identity. *)
Fixpoint product (k n : nat) (x : V) : V :=
  match n with
  | 0 => x
  | S n => J (S (k + n)) (product k n x)
  end.

(* 5. The n newest summands at step k + n: those of the steps
   k + 1 to k + n, each with the product of all Jacobians after it. *)
Fixpoint sum (k n : nat) : V :=
  match n with
  | 0 => zero
  | S n =>
      product (S k) n (immediate (S k))
      + sum (S k) n
  end.

(* 6. Multiply out: the Jacobian of one more step joins every product
   from the left, and the summand of that step is the one in front. *)
Lemma multiply_out n : forall k,
  sum k (S n) =
    immediate (S (k + n))
    + J (S (k + n)) (sum k n).
Proof.
  induction n as [|n IH]; intro k.
  - simpl. now rewrite J_zero, <- plus_n_O.
  - change (sum k (S (S n))) with
      (product (S k) (S n) (immediate (S k))
       + sum (S k) (S n)).
    rewrite IH, <- plus_n_Sm. simpl.
    rewrite J_add, add_assoc, add_assoc.
    now rewrite (add_comm (J _ _)).
Qed.

(* 7. Stop after n steps back, and you have the n newest summands.
   What is missing is exactly the derivative at step k, carried on. *)
Theorem truncation k n :
  ds (k + n) = sum k n + product k n (ds k).
Proof.
  induction n as [|n IH].
  - simpl. rewrite <- plus_n_O.
    now rewrite add_comm, add_zero.
  - rewrite <- plus_n_Sm. simpl ds.
    rewrite IH, J_add, multiply_out.
    simpl product. now rewrite add_assoc.
Qed.

(* 8. All T steps: one summand for each use of W, and the initial state. *)
Corollary sum_of_products T :
  ds T = sum 0 T + product 0 T ds0.
Proof. exact (truncation 0 T). Qed.

End Sum_of_products.

(* 9. On what do these two rest, beside the lines above? *)
Print Assumptions truncation.
Print Assumptions sum_of_products.
