"""Compares Nibble with the other side of a case. After make_case.py:

    nibble trace FOLDER/run.yml --out FOLDER/nibble.safetensors
    nibble train FOLDER/run.yml --plain
    nibble trace FOLDER/run.yml --lora_model_dir FOLDER/out --out FOLDER/trained.safetensors

    python3 eng/parity/compare.py FOLDER

loads the adapter that Nibble trained with peft. After make_full_case.py the third line is

    nibble trace FOLDER/run.yml --base_model FOLDER/out --output_dir FOLDER/unused --out FOLDER/trained.safetensors

and the model folder that Nibble trained is loaded with transformers. Exits 1 when a limit is passed.
"""

import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from checks import check, finish
from nf4 import round_trip

OUT = sys.argv[1]


def relative(a, b):
    return ((a.reshape(b.shape) - b).norm() / b.norm()).item()


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager").cuda()


ours, theirs = load_file(f"{OUT}/nibble.safetensors"), load_file(f"{OUT}/theirs.safetensors")
with open(f"{OUT}/theirs.json") as f:
    other = json.load(f)
full = other["kind"] == "full"
library = "transformers" if full else "peft"

# Both compute in bf16 and neither is exact. The yardstick is the same graph in fp32: ours may be no farther from it
# than theirs is, but for a quarter, which is how much two draws of rounding errors differ.
SLACK = 1.25


def against_exact(name):
    exact = theirs["exact." + name]
    return relative(ours[name], exact), relative(theirs[name], exact)


for name in sorted(n for n in theirs if n.startswith("row") and n.endswith("logits")):
    mine, distance = against_exact(name)
    check(f"{name}: distance from fp32 ({library} {distance:.3e})", mine, SLACK * distance)
check("loss, relative", abs(ours["loss"].item() / theirs["loss"].item() - 1), 2e-3)
gradients = sorted(n for n in theirs if n.startswith("gradient."))
missing = set(gradients) ^ {n for n in ours if n.startswith("gradient.")}
check("gradients that only one side has", len(missing), 0)
matrices = [n for n in gradients if theirs[n].dim() == 2]
pairs = {n: against_exact(n) for n in matrices}
worst = max(pairs, key=lambda n: pairs[n][0] / pairs[n][1])
print(f"     {len(matrices)} gradients of matrices: worst distance from fp32 {max(m for m, _ in pairs.values()):.3e}, "
      f"{library} {max(p for _, p in pairs.values()):.3e}; worst ratio at {worst}")
check(f"worst gradient distance over {library}'s", pairs[worst][0] / pairs[worst][1], 1.5)
vectors = [n for n in gradients if theirs[n].dim() == 1]
if vectors:
    # Norms and biases are short: their distances are compared all together, each in units of its own length.
    mine, distance = (sum(against_exact(n)[side] ** 2 for n in vectors) ** 0.5 for side in (0, 1))
    check(f"{len(vectors)} gradients of norms and biases, over {library}'s", mine / distance, 1.5)
losses = {}
with open(f"{OUT}/out/metrics.jsonl") as f:
    for line in f:
        event = json.loads(line)
        if "train/loss" in event:
            losses[event["train/global_step"]] = event["train/loss"]
curve = [abs(losses[i + 1] / other["losses"][i] - 1) for i in range(len(other["losses"]))]
check(f"{len(curve)} losses, worst relative", max(curve), 1e-2)
print(
    f"     first {losses[1]:.5f} / {other['losses'][0]:.5f}, last {losses[len(curve)]:.5f} / {other['losses'][-1]:.5f}")

if full:
    model = load(f"{OUT}/out")
else:
    from peft import PeftModel

    model = load(f"{OUT}/model")
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".layers." in name and name.endswith("proj.weight"):
                p.copy_(round_trip(p.float()).bfloat16())
    model = PeftModel.from_pretrained(model, f"{OUT}/out")
trained = load_file(f"{OUT}/trained.safetensors")
for i in range(4):
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=not full):
        logits = model(trained[f"row{i}.input_ids"].long().unsqueeze(0).cuda()).logits[0].float().cpu()
    # Two independent roundings: sqrt(2) of one distance from fp32, with the same slack.
    limit = SLACK * 2 ** 0.5 * relative(theirs[f"row{i}.logits"], theirs[f"exact.row{i}.logits"])
    check(f"row{i}.logits of what we trained, in {library}", relative(trained[f"row{i}.logits"], logits), limit)
finish()
