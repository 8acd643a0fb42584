"""Compares Nibble with peft on a case of make_case.py, after

    nibble trace FOLDER/run.yml --out FOLDER/nibble.safetensors
    nibble train FOLDER/run.yml --plain
    nibble trace FOLDER/run.yml --lora_model_dir FOLDER/out --out FOLDER/trained.safetensors

    python3 eng/parity/compare.py FOLDER

and loads the adapter that Nibble trained with peft. Exits 1 when a limit is passed.
"""

import json
import os
import sys

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from nf4 import round_trip

OUT = sys.argv[1]
failed = False


def check(what, value, limit):
    global failed
    failed |= not value <= limit
    print(f"{'ok  ' if value <= limit else 'FAIL'} {what:58} {value:.3e}   limit {limit:.1e}")


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


ours, theirs = load_file(f"{OUT}/nibble.safetensors"), load_file(f"{OUT}/peft.safetensors")

# Both compute in bf16 and neither is exact. The yardstick is the same graph in fp32: ours may be no farther from it than peft
# is, but for a quarter, which is how much two draws of rounding errors differ.
SLACK = 1.25


def against_exact(name):
    exact = theirs["exact." + name]
    return relative(ours[name], exact), relative(theirs[name], exact)


for name in sorted(n for n in theirs if n.startswith("row") and n.endswith("logits")):
    mine, peft_error = against_exact(name)
    check(f"{name}: distance from fp32 (peft {peft_error:.3e})", mine, SLACK * peft_error)
check("loss, relative", abs(ours["loss"].item() / theirs["loss"].item() - 1), 2e-3)
gradients = sorted(n for n in theirs if n.startswith("gradient."))
pairs = [against_exact(n) for n in gradients]
ratio = max(mine / peft_error for mine, peft_error in pairs)
print(f"     {len(gradients)} LoRA gradients: worst distance from fp32 {max(m for m, _ in pairs):.3e}, peft {max(p for _, p in pairs):.3e}")
check("worst gradient distance over peft's", ratio, 1.5)
with open(f"{OUT}/peft.json") as f:
    peft = json.load(f)
losses = {}
with open(f"{OUT}/out/metrics.jsonl") as f:
    for line in f:
        event = json.loads(line)
        if "train/loss" in event:
            losses[event["train/global_step"]] = event["train/loss"]
curve = [abs(losses[i + 1] / peft["losses"][i] - 1) for i in range(len(peft["losses"]))]
check(f"{len(curve)} losses, worst relative", max(curve), 1e-2)
print(f"     first {losses[1]:.5f} / {peft['losses'][0]:.5f}, last {losses[len(curve)]:.5f} / {peft['losses'][-1]:.5f}")

model = AutoModelForCausalLM.from_pretrained(f"{OUT}/model", dtype=torch.bfloat16, attn_implementation="eager").cuda()
with torch.no_grad():
    for name, p in model.named_parameters():
        if ".layers." in name and name.endswith("proj.weight"):
            p.copy_(round_trip(p.float()).bfloat16())
model = PeftModel.from_pretrained(model, f"{OUT}/out")
trained = load_file(f"{OUT}/trained.safetensors")
for i in range(4):
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        logits = model(trained[f"row{i}.input_ids"].long().unsqueeze(0).cuda()).logits[0].float().cpu()
    # Two independent roundings: sqrt(2) of one distance from fp32, with the same slack.
    limit = SLACK * 2 ** 0.5 * relative(theirs[f"row{i}.logits"], theirs[f"exact.row{i}.logits"])
    check(f"row{i}.logits of our adapter in peft", relative(trained[f"row{i}.logits"], logits), limit)
sys.exit(1 if failed else 0)
