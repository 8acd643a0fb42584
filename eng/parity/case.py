"""What the parity cases share: a random Qwen2, rows, their order, the schedule, the first step in fp32 and the run's
file."""

import copy
import json
import math
import os
import shutil

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

TOKENIZER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "nl2bash", "model")
ROWS, PER_STEP, WARMUP, SEED = 80, 4, 10, 42


def random_model(tied, hidden, mlp, heads, kv_heads, generator):
    """Four layers in bf16 on the card; weights of a size at which every part of the graph matters."""
    config = Qwen2Config(
        vocab_size=4096, hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=4, num_attention_heads=heads,
        num_key_value_heads=kv_heads, max_position_embeddings=4096, rms_norm_eps=1e-6, tie_word_embeddings=tied,
        rope_parameters=dict(rope_type="default", rope_theta=1e6))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.bfloat16).cuda()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.1 * torch.randn(p.shape, generator=generator))
            elif name.endswith("bias"):
                p.copy_(0.1 * torch.randn(p.shape, generator=generator))
            else:
                p.copy_(0.03 * torch.randn(p.shape, generator=generator))
    return model


def save(model, out):
    model.save_pretrained(os.path.join(out, "model"))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(os.path.join(TOKENIZER, file), os.path.join(out, "model", file))


def write_rows(out, generator):
    """Each row has 24 tokens of its own to draw from, so that there is something to learn."""
    rows = []
    with open(os.path.join(out, "rows.jsonl"), "w") as f:
        for _ in range(ROWS):
            length = int(torch.randint(40, 200, (1,), generator=generator))
            base = torch.randint(0, 64, (1,), generator=generator).item() * 16
            ids = (base + torch.randint(0, 24, (length,), generator=generator)).tolist()
            labels = [-100] * (length // 3) + ids[length // 3:]
            rows.append((ids, labels))
            f.write(json.dumps(dict(input_ids=ids, labels=labels, attention_mask=[1] * length)) + "\n")
    return rows


def write_run(out, steps, rate, decay, method):
    """The run for Nibble; method: the lines that say what trains."""
    with open(os.path.join(out, "run.yml"), "w") as f:
        f.write(f"""base_model: {out}/model
{method}datasets:
  - path: {out}/rows.jsonl
shuffle_merged_datasets: false
val_set_size: 0
sequence_len: 256
micro_batch_size: 1
gradient_accumulation_steps: {PER_STEP}
max_steps: {steps}
learning_rate: {rate}
lr_scheduler: cosine
warmup_steps: {WARMUP}
optimizer: adamw_torch
weight_decay: {decay}
max_grad_norm: 1.0
logging_steps: 1
save_strategy: "no"
seed: {SEED}
output_dir: {out}/out
""")


def order():
    epoch = 0
    while True:
        yield from torch.randperm(ROWS, generator=torch.Generator().manual_seed(SEED + epoch)).tolist()
        epoch += 1


def schedule(step, steps):
    if step < WARMUP:
        return step / WARMUP
    return max(0.0, (1 + math.cos(math.pi * (step - WARMUP) / (steps - WARMUP))) / 2)


def trained_tokens(rows, chosen):
    return sum(sum(1 for label in rows[i][1][1:] if label != -100) for i in chosen)


def loss_sum(model, row):
    """Logits [T, V] and the summed loss of a row."""
    ids, labels = row
    logits = model(torch.tensor([ids], device="cuda")).logits[0]
    target = torch.tensor(labels[1:] + [-100], device="cuda")
    return logits, torch.nn.functional.cross_entropy(logits.float(), target, ignore_index=-100, reduction="sum")


def plain(name):
    return name.replace(".default", "")


def exact_first_step(model, rows):
    """The yardstick: logits and gradients of the first step, the same numbers computed in fp32."""
    exact = copy.deepcopy(model).float()
    indices = order()
    chosen = [next(indices) for _ in range(PER_STEP)]
    count = trained_tokens(rows, chosen)
    tensors = {}
    for k, i in enumerate(chosen):
        logits, loss = loss_sum(exact, rows[i])
        (loss / count).backward()
        tensors[f"exact.row{k}.logits"] = logits.detach().cpu().contiguous()
    for name, p in exact.named_parameters():
        if p.requires_grad:
            tensors["exact.gradient." + plain(name)] = p.grad.detach().cpu().contiguous()
    return tensors


def train(steps, rate, rows, forward, optimizer, parameters, after_backward, after_step, tensors):
    """The steps of the other side. forward(row) gives logits and summed loss; parameters() gives named tensors with
    gradients in fp32. Adds logits, gradients and loss of the first step to tensors; returns losses and gradient
    norms."""
    losses, norms = [], []
    indices = order()
    for step in range(steps):
        chosen = [next(indices) for _ in range(PER_STEP)]
        count = trained_tokens(rows, chosen)
        total = 0.0
        for k, i in enumerate(chosen):
            logits, loss = forward(rows[i])
            (loss / count).backward()
            after_backward()
            total += loss.item()
            if step == 0:
                tensors[f"row{k}.logits"] = logits.detach().float().cpu().contiguous()
        if step == 0:
            for name, p in parameters:
                tensors["gradient." + plain(name)] = p.grad.detach().float().cpu().contiguous()
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in parameters], 1.0).item())
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step, steps)
        optimizer.step()
        optimizer.zero_grad()
        after_step()
        losses.append(total / count)
    tensors["loss"] = torch.tensor([losses[0]])
    return losses, norms
