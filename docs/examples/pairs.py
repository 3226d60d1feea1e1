"""Do two messages say the same? A classifier of pairs of texts."""

from hybridqies import HybridClassifier

same = [
    ("The shop opens at nine.", "Nine is when the shop opens."),
    ("He sold the car to Anna.", "Anna bought the car from him."),
    ("The train was late again.", "Once more the train was delayed."),
    ("She likes tea best.", "Tea is what she likes most."),
]
different = [(first, same[at - 1][1]) for at, (first, _) in enumerate(same)]

model = HybridClassifier(head="dressed", n_qubits=4, epochs=30)
model.fit(same + different, ["same"] * 4 + ["different"] * 4)
label = model.predict([("The bus leaves at ten.", "At ten the bus leaves.")])[0]
