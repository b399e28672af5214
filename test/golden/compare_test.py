#!/usr/bin/env python3
"""Tests that compare.py finds what is wrong, by programs that only pretend to train."""

import hashlib
import json
import os
import stat
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import compare

PROGRAM = """#!{python}
import json, sys
script = json.load(open({script!r}))
for flag, value in zip(sys.argv[1:], sys.argv[2:]):
    if flag in script["files"]:
        open(value, "wb").write(bytes.fromhex(script["files"][flag]))
sys.stdout.write(script["output"])
sys.exit(script["status"])
"""


def safetensors(tensors):
    header, data = {}, b""
    for name, values in tensors.items():
        added = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(added)]}
        data += added
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class CompareTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.weights = {"a.weight": [1.5, -2.25, 0.5], "a.bias": [0.25]}
        self.gradients = {"a.weight": [0.5 + i / 512 for i in range(300)], "a.bias": [3.0, 4.0]}
        self.losses = [1.0, 0.75, 0.5]
        self.epochs = [["1.0", "2.0"], ["0.5", "1.5"]]
        weights = {name: hashlib.sha256(struct.pack(f"<{len(values)}f", *values)).hexdigest()
                   for name, values in self.weights.items()}
        self.golden = {
            "loss": "mse", "weights": weights, "batch_losses": list(self.losses), "stable_batches": 3,
            "gradients": {
                "a.weight": {"shape": [300], "norm": compare.norm(self.gradients["a.weight"]), "indices": [7, 200],
                             "values": [self.gradients["a.weight"][i] for i in (7, 200)]},
                "a.bias": {"shape": [2], "norm": 5.0, "values": [3.0, 4.0]}},
            "epochs": [[1.0, 2.0], [0.5, 1.5]], "stable_epochs": 2}
        self.status = 0

    def tearDown(self):
        self.folder.cleanup()

    def failures(self):
        """Runs a program that gives what stands in this test's members; returns what compare.py finds."""
        path = os.path.join(self.folder.name, "program")
        script = {"status": self.status, "files": {
            "--save": safetensors(self.weights).hex(), "--dump-gradients": safetensors(self.gradients).hex(),
            "--dump-losses": "".join(f"{loss!r}\n" for loss in self.losses).encode().hex()}}
        script["output"] = "".join(
            f"Epoch : {i + 1} | " + " | ".join(f"{label}: {value}" for label, value in zip(
                ["train_Loss", "test_Loss", "test_Accuracy"], line)) + "\n" for i, line in enumerate(self.epochs))
        with open(path + ".script", "w") as file:
            json.dump(script, file)
        with open(path, "w") as file:
            file.write(PROGRAM.format(python=sys.executable, script=path + ".script"))
        os.chmod(path, stat.S_IRWXU)
        with open(os.path.join(self.folder.name, "name.json"), "w") as file:
            json.dump(self.golden, file)
        compare.FOLDER = self.folder.name
        comparison = compare.Comparison("name", path, [])
        comparison.compare()
        return comparison.failures

    def assert_only(self, expected):
        failures = self.failures()
        self.assertEqual(len(failures), 1, failures)
        self.assertIn(expected, failures[0])

    def test_agreement(self):
        self.assertEqual(self.failures(), [])

    def test_last_bit_of_a_weight(self):
        self.weights["a.weight"][1] = -2.2500002
        self.assert_only("the bytes of a.weight differ")

    def test_missing_and_unknown_names(self):
        self.weights["b.bias"] = self.weights.pop("a.bias")
        failures = self.failures()
        self.assertEqual(len(failures), 2)
        self.assertIn("a.bias is missing", failures[0])
        self.assertIn("b.bias is not PyTorch's", failures[1])

    def test_normal_weights(self):
        self.golden["weights"]["a.bias"] = [0.25000005]
        self.assertEqual(self.failures(), [])
        self.golden["weights"]["a.bias"] = [0.250002]
        self.assert_only("a.bias is off by 8e-06")

    def test_gradient_given_whole(self):
        self.gradients["a.bias"] = [4.0, 3.0]
        self.assert_only("a.bias is off by 0.28")

    def test_gradient_given_by_norm(self):
        self.gradients["a.weight"] = [value * 1.00001 for value in self.gradients["a.weight"]]
        self.assert_only("the norm of a.weight is off by 1e-05")

    def test_gradient_given_by_samples(self):
        self.gradients["a.weight"].reverse()
        self.assert_only("a.weight is off by")

    def test_gradient_is_not_a_number(self):
        self.gradients["a.bias"] = [float("nan"), 4.0]
        self.assert_only("the norm of a.bias is off by inf")

    def test_gradient_rounded_otherwise(self):
        self.gradients["a.bias"] = [3.0000002, 4.0]
        self.assertEqual(self.failures(), [])

    def test_batch_loss(self):
        self.losses[1] = 0.75002
        self.assert_only("batch 2 gives 0.75002, not 0.75: off by 2.7e-05")

    def test_too_few_batch_losses(self):
        self.losses.pop()
        self.assert_only("2 of them, not 3")

    def test_epoch_loss(self):
        self.epochs[1][1] = "1.50002"
        self.assert_only("the test loss of epoch 2 is 1.50002, not 1.5: off by 1.3e-05")

    def test_epoch_loss_is_not_a_number(self):
        self.epochs[0][0] = "nan"
        self.assert_only("the train loss of epoch 1 is nan")

    def test_epoch_past_the_stable_ones(self):
        self.epochs[1] = ["0.51", "1.6"]
        self.golden["stable_epochs"] = 1
        self.assertEqual(self.failures(), [])

    def test_cross_entropy(self):
        self.golden["loss"] = "cross_entropy"
        self.golden["epochs"] = [[1.0, 2.0, 0.5], [0.5, 1.5, 0.75]]
        self.epochs = [["1.0001", "2.0", "0.5"], ["0.5", "1.5", "0.75"]]
        self.assertEqual(self.failures(), [])
        self.epochs[1][2] = "0.7"
        self.assert_only("the accuracy of epoch 2 is 0.7, not 0.75")

    def test_missing_epoch(self):
        self.epochs.pop()
        self.assert_only("1 lines, not 2")

    def test_missing_test_loss(self):
        self.epochs = [line[:1] for line in self.epochs]
        self.assert_only("line 1 has 1 values for epoch 1, not 2")

    def test_program_fails(self):
        self.status = 1
        with self.assertRaisesRegex(compare.Failure, "exit status 1"):
            self.failures()


if __name__ == "__main__":
    unittest.main()
