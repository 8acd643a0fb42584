"""Compares the model that Nibble merged with peft's own merge in fp32. After the commands in compare.py, for a case of
make_case.py:

    nibble merge FOLDER/run.yml
    python3 eng/parity/compare_merged.py FOLDER

Every weight has to be peft's, rounded to bf16, but for values so near the middle between two neighbours that the order
of a sum in fp32 decides. Exits 1 when a limit is passed.
"""

import sys

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from checks import check, finish

OUT = sys.argv[1]


def load(folder, dtype):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").cuda().eval()


theirs = PeftModel.from_pretrained(load(f"{OUT}/model", torch.float32), f"{OUT}/out").merge_and_unload().bfloat16()
base = load_file(f"{OUT}/model/model.safetensors")
expected = {name: weight.cpu() for name, weight in theirs.state_dict().items() if name in base}
ours = load_file(f"{OUT}/out/merged/model.safetensors")
check("tensors that only one side has", len(set(expected) ^ set(ours)), 0)
check("tensors of another type or shape", sum(
    ours[n].dtype != base[n].dtype or ours[n].shape != base[n].shape for n in expected), 0)
changed = [n for n in expected if not torch.equal(expected[n], base[n])]
print(f"     {len(changed)} of {len(expected)} tensors are adapted")
check("tensors without adapter that changed", sum(
    not torch.equal(ours[n], base[n]) for n in expected if n not in changed), 0)
count = sum(expected[n].numel() for n in changed)
steps = {n: (expected[n].view(torch.int16).int() - ours[n].view(torch.int16).int()).abs() for n in changed}
check("share of adapted values that differ", sum((s > 0).sum().item() for s in steps.values()) / count, 1e-3)

# Neighbours either side of 0 are far apart as integers.
far = sum(((s > 1) & (expected[n].abs() + ours[n].abs() > 1e-6)).sum().item() for n, s in steps.items())
check("values that differ by more than a step", far, 0)
loaded = load(f"{OUT}/out/merged", torch.bfloat16).state_dict()
check("tensors that transformers loads otherwise", sum(not torch.equal(loaded[n].cpu(), ours[n]) for n in ours), 0)
finish()
