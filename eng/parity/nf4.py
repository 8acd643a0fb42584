"""The NF4 round trip with nested absmax of bitsandbytes, in torch, for machines that do not have the library."""

import torch

CODE = torch.tensor([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])


def dynamic_map():
    values = []
    for level in range(7):
        n = 2 ** level + 1
        bounds = torch.linspace(0.1, 1.0, n)
        means = (bounds[:-1] + bounds[1:]) / 2
        values += (10.0 ** (level - 6) * means).tolist() + (-(10.0 ** (level - 6)) * means).tolist()
    return torch.tensor(sorted(values + [0.0, 1.0]))


def nearest(x, code):
    bounds = (code[:-1] + code[1:]) / 2
    return torch.bucketize(x, bounds.to(x.device))


def round_trip(weight):
    code, signed = CODE.to(weight.device), dynamic_map().to(weight.device)
    blocks = weight.reshape(-1, 64)
    absmax = blocks.abs().amax(1)
    codes = nearest(blocks * (1 / absmax).unsqueeze(1), code)
    offset = absmax.mean()
    rest = absmax - offset
    count = (rest.numel() + 255) // 256
    padded = torch.zeros(count * 256, device=weight.device)
    padded[:rest.numel()] = rest
    nested = padded.reshape(count, 256).abs().amax(1)
    scaled = nearest(padded.reshape(count, 256) * (1 / nested).unsqueeze(1), signed)
    restored = (signed[scaled] * nested.unsqueeze(1)).reshape(-1)[:rest.numel()] + offset
    return (code[codes] * restored.unsqueeze(1)).reshape(weight.shape)
