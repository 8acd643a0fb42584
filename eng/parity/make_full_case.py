"""Makes a parity case in which every weight is trained, for a GPU machine with torch and transformers:

    python3 eng/parity/make_full_case.py FOLDER [--tied]

FOLDER/model              a random Qwen2 with real head sizes: heads of 64 and a tied head, or heads of 128
                          and a head of its own
FOLDER/rows.jsonl         pre-tokenised rows
FOLDER/run.yml            the run for Nibble
FOLDER/theirs.safetensors the other side: logits, loss and gradients of the first step; theirs.json: 60 losses

Both sides compute in bf16 and keep fp32 masters, gradients and moments. compare.py says what comes next.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file

import case

OUT, TIED = sys.argv[1], "--tied" in sys.argv[2:]
STEPS, RATE, DECAY = 60, 5e-5, 0.01
os.makedirs(OUT, exist_ok=True)
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = False
generator = torch.Generator().manual_seed(1)
shape = (True, 896, 4864, 14, 2) if TIED else (False, 1024, 2816, 8, 2)
model = case.random_model(*shape, generator)
case.save(model, OUT)
rows = case.write_rows(OUT, generator)
case.write_run(OUT, STEPS, RATE, DECAY, "")
tensors = case.exact_first_step(model, rows)

# The model holds the bf16 copies that are computed with.
copies = dict(model.named_parameters())
masters = {name: torch.nn.Parameter(p.detach().float().clone()) for name, p in copies.items()}
for m in masters.values():
    m.grad = torch.zeros_like(m)


def gather():
    for name, p in copies.items():
        masters[name].grad.add_(p.grad.float())
        p.grad = None


def refresh():
    with torch.no_grad():
        for name, p in copies.items():
            p.copy_(masters[name])
    for m in masters.values():
        m.grad = torch.zeros_like(m)


def decays(name):
    return "norm" not in name and not name.endswith(".bias")


optimizer = torch.optim.AdamW(
    [dict(params=[m for n, m in masters.items() if decays(n)], weight_decay=DECAY),
     dict(params=[m for n, m in masters.items() if not decays(n)], weight_decay=0.0)], lr=RATE)
losses, norms = case.train(
    STEPS, RATE, rows, lambda row: case.loss_sum(model, row), optimizer, list(masters.items()), gather, refresh,
    tensors)
save_file(tensors, os.path.join(OUT, "theirs.safetensors"))
with open(os.path.join(OUT, "theirs.json"), "w") as f:
    json.dump(dict(kind="full", losses=losses, norms=norms), f)
print("transformers: loss", losses[0], "->", losses[-1])
