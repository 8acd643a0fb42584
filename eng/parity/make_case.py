"""Makes a parity case of an adapter over 4-bit weights, for a GPU machine with torch, transformers and peft:

    python3 eng/parity/make_case.py FOLDER

FOLDER/model              a random Qwen2 with real head sizes, its decoder weights already put through the NF4 round
                          trip with nested absmax, so that quantising them again changes nothing that matters and
                          transformers, which has no bitsandbytes there, computes with the same numbers
FOLDER/adapter            a peft adapter to start from, B not zero
FOLDER/rows.jsonl         pre-tokenised rows
FOLDER/run.yml            the run for Nibble
FOLDER/theirs.safetensors the other side: logits, loss and gradients of the first step; theirs.json: 100 losses

compare.py says what comes next.
"""

import json
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

import case
from nf4 import round_trip

OUT = sys.argv[1]
STEPS, RATE = 100, 2e-4
os.makedirs(OUT, exist_ok=True)
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = False
generator = torch.Generator().manual_seed(1)


def quantise(model, times):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".layers." in name and name.endswith("proj.weight"):
                for _ in range(times):
                    p.copy_(round_trip(p.float()).bfloat16())


model = case.random_model(False, 1792, 4864, 14, 2, generator)

# Twice: the second pass sees the values the first one made, as the trainer's quantiser will.
quantise(model, 2)
case.save(model, OUT)

# What the trainer computes with: its own NF4 of the saved bf16 weights.
quantise(model, 1)
rows = case.write_rows(OUT, generator)
lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, task_type="CAUSAL_LM", bias="none",
                  target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
model = get_peft_model(model, lora)
with torch.no_grad():
    for name, p in model.named_parameters():
        if p.requires_grad:
            p.data = p.data.float()
            p.copy_(0.01 * torch.randn(p.shape, generator=generator))
model.save_pretrained(os.path.join(OUT, "adapter"))
case.write_run(OUT, STEPS, RATE, 0.0, f"""load_in_4bit: true
adapter: qlora
lora_r: 8
lora_alpha: 16
lora_dropout: 0.0
lora_target_modules: [q_proj, k_proj, v_proj, o_proj]
lora_model_dir: {OUT}/adapter
""")


def forward(row):
    with torch.autocast("cuda", torch.bfloat16):
        return case.loss_sum(model, row)


tensors = case.exact_first_step(model, rows)
trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
optimizer = torch.optim.AdamW([p for _, p in trained], lr=RATE, weight_decay=0.0)
losses, norms = case.train(STEPS, RATE, rows, forward, optimizer, trained, lambda: None, lambda: None, tensors)
save_file(tensors, os.path.join(OUT, "theirs.safetensors"))
with open(os.path.join(OUT, "theirs.json"), "w") as f:
    json.dump(dict(kind="adapter", losses=losses, norms=norms), f)
print("peft: loss", losses[0], "->", losses[-1])
