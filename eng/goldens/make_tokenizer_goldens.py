"""Makes tests/goldens/tokenizers: small byte-level BPE tokenizers of each family with the ids that the real
`tokenizers` library gives, chat template renderings by transformers' own Jinja environment, random permutations of
torch and numpy, and the Unicode table behind NFC.

python make_tokenizer_goldens.py <folder with qwen2.5/, qwen3/ tokenizers and all.nl, all.cm> <output folder>
"""
import hashlib, json, os, random, struct, sys, unicodedata
import jinja2, numpy, tokenizers, torch, transformers
from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

SRC, OUT = sys.argv[1], sys.argv[2]
os.makedirs(OUT, exist_ok=True)
VERS = dict(tokenizers=tokenizers.__version__, transformers=transformers.__version__, jinja2=jinja2.__version__,
            numpy=numpy.__version__, torch=torch.__version__, unicode=unicodedata.unidata_version)
HEADER = dict(generator="eng/goldens/make_tokenizer_goldens.py", versions=VERS, seed=7)

def save(name, value):
    with open(os.path.join(OUT, name), "w", encoding="utf-8", newline="\n") as f:
        json.dump(dict(header=HEADER, **value), f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")

# ---- text -------------------------------------------------------------------------------------------------------
R = random.Random(7)
WORDS = ("find list copy files whose name ends with the current folder recursively older than seven days print count "
         "lines it's they're I'll we've DON'T CAN'T you'd I'M grep sed awk -exec {} \\; | sort -n | head -3 "
         "/etc/passwd $HOME \"*.txt\" 'my*' 2>&1 >>log.txt && || ; 0755 12345 3.14 1,000 x86_64 utf-8 "
         "camelCase snake_case").split()
ODD = ["é", "e\u0301", "Å", "\u212b", "A\u030a", "ñ", "한글", "\u1112\u1161\u11ab", "日本語", "中文字符", "ありがとう", "Привет",
       "مرحبا", "שלום", "हिन्दी", "ไทย", "👍", "👍🏽", "👨‍👩‍👧", "🇩🇪", "𝐀𝐁𝐂", "𝟘𝟙𝟚", "𐐷", "𠀀𠀁", "½", "²³", "Ⅷ", "٣٤",
       "\u0323\u0307q\u0307\u0323", "ﬁ", "ſ", "'ſ", "'S", "'Ll", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028",
       "\u200b", "\ufeff", "\u200d", "\r\n", "\n", "\r", "\t", "\x00", "\x1f", "\x7f", " ", "  ", "     ", "\n\n\n",
       " \n ", "\t\t", "...", "---", "!!!", "??", "'", "''", "'s", "'t", "_", "\\n", "<|im_start|>", "<|im_end|>",
       "<|endoftext|>", "<tool_call>", "<think>", "<|im_", "|>", "\ue000", "\U0001f3fb", "\U000e0041", "\u0f73\u0f71",
       "\u0958", "\u2adc", "\ufb1d", "\U0001d15e", "\u0344", "\u09c7\u09be", "\u1100\u1161", "\uac00\u11a8",
       "a\u0315\u0300\u05ae\u0062", "\u0061\u05ae\u0300\u0315"]

def line():
    n = R.randrange(1, 14)
    out = []
    for _ in range(n):
        out.append(R.choice(WORDS) if R.random() < 0.5 else R.choice(ODD))
        if R.random() < 0.45:
            out.append(" ")
    return "".join(out)

FUZZ = [
    "", " ", "\n", "a", "'", "'s", " 's", "it's", "\r\n\r\n", "a  b", "a   ", "   a", "1234567", " 12 345", "\n \n",
    "x\n  y"]
FUZZ += [
    "".join(chr(R.randrange(0x21, 0x7f)) for _ in range(40)), "a" * 700, "-=" * 400, " " * 300,
    "ab" * 300 + " " + "é" * 200]
FUZZ += [line() for _ in range(300)]
TRAIN = ["".join(R.choice(WORDS + ODD[:30]) + " " for _ in range(30)) for _ in range(600)]

# ---- small tokenizers -------------------------------------------------------------------------------------------
QWEN = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
LLAMA = QWEN.replace("|\\p{N}|", "|\\p{N}{1,3}|")
from tokenizers import models, trainers, pre_tokenizers, decoders, normalizers, Regex
def train(pre, norm):
    t = Tokenizer(models.BPE()); t.pre_tokenizer = pre; t.decoder = decoders.ByteLevel()
    if norm: t.normalizer = norm
    t.train_from_iterator(TRAIN, trainers.BpeTrainer(vocab_size=600, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[]))
    return json.loads(t.to_str())
def split(p):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(p), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
def added(i, content, **kw):
    return dict(
        id=i, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) | kw

qwen = train(split(QWEN), normalizers.NFC())
n = len(qwen["model"]["vocab"])
qwen["added_tokens"] = [added(n, "<|endoftext|>"), added(n + 1, "<|im_start|>"), added(n + 2, "<|im_end|>"),
                        added(n + 3, "<tool_call>", special=False), added(n + 4, "<think>", special=False)]
flags = json.loads(json.dumps(qwen))
flags["added_tokens"] += [added(n + 5, "files", single_word=True, special=False), added(n + 6, "<|im_", lstrip=True),
                          added(n + 7, "|>", rstrip=True), added(n + 8, "e\u0301", normalized=True, special=False),
                          added(n + 9, "na", normalized=True, special=False),
                          added(n + 10, "name", normalized=True, special=False),
                          added(n + 11, "the", single_word=True, lstrip=True, rstrip=True, special=False)]
llama = train(split(LLAMA), None)
m = len(llama["model"]["vocab"])
llama["model"]["ignore_merges"] = True
for w in (" recursively", "recursively", "123", " older"):   # reachable only by ignore_merges
    w = w.replace(" ", "\u0120")
    llama["model"]["vocab"].setdefault(w, len(llama["model"]["vocab"]))
m = len(llama["model"]["vocab"])
llama["added_tokens"] = [added(m, "<|begin_of_text|>"), added(m + 1, "<|eot_id|>")]
llama["post_processor"] = {"type": "Sequence", "processors": [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    {"type": "TemplateProcessing",
     "single": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
     "pair": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
     "special_tokens": {
         "<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [m], "tokens": ["<|begin_of_text|>"]}}}]}
gpt2 = train(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True), None)
gpt2["model"]["merges"] = [" ".join(p) if isinstance(p, list) else p for p in gpt2["model"]["merges"]]
g = len(gpt2["model"]["vocab"])
gpt2["added_tokens"] = [added(g, "<|endoftext|>")]
prefix = json.loads(json.dumps(gpt2)); prefix["pre_tokenizer"]["add_prefix_space"] = True
digits = json.loads(json.dumps(gpt2))
digits["pre_tokenizer"] = {
    "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, gpt2["pre_tokenizer"]]}

cases = {}
for name, spec in dict(qwen=qwen, flags=flags, llama=llama, gpt2=gpt2, prefix=prefix, digits=digits).items():
    folder = os.path.join(OUT, name); os.makedirs(folder, exist_ok=True)
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
    t = Tokenizer.from_str(text)
    # with the ids that the library settled on
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(t.to_str() + "\n")
    ids = [t.encode(x).ids for x in FUZZ]
    cases[name] = dict(ids=ids, plain=[t.encode(x, add_special_tokens=False).ids for x in FUZZ[:60]],
                       kept=[t.decode(i, skip_special_tokens=False) for i in ids],
                       skipped=[t.decode(i, skip_special_tokens=True) for i in ids])
save("ids.json", dict(texts=FUZZ, families=cases))

# ---- the real vocabulary ----------------------------------------------------------------------------------------
real = {}
for name in ("qwen2.5", "qwen3"):
    t = Tokenizer.from_file(os.path.join(SRC, name, "tokenizer.json"))
    blocks = {}
    for file in ("all.nl", "all.cm"):
        lines = open(os.path.join(SRC, file), encoding="utf-8", newline="\n").read().split("\n")
        out, count = [], 0
        for at in range(0, len(lines), 1000):
            h = hashlib.sha256()
            for x in lines[at:at + 1000]:
                ids = t.encode(x).ids; count += len(ids)
                h.update(struct.pack("<%di" % (len(ids) + 1), len(ids), *ids))
            out.append(h.hexdigest())
        blocks[file] = dict(lines=len(lines), tokens=count, blocks=out)
    real[name] = dict(ids=[t.encode(x).ids for x in FUZZ], files=blocks)
save("real.json", dict(block=1000, tokenizers=real))

# ---- chat templates ---------------------------------------------------------------------------------------------
def u(x): return dict(role="user", content=x)
def a(x, **k): return dict(role="assistant", content=x, **k)
def s(x): return dict(role="system", content=x)
CALL = {"type": "function", "function": {"name": "f", "arguments": {"q": "é<>&'\"", "n": [1, 2.5, None, True]}}}
CONV = [[u("hi")], [s("Be brief."), u("list files"), a("ls")],
        [u("a"), a("<think>\nhm\n</think>\n\nb"), u("c"), a("<think>x</think>d")],
        [u(" padded \n"), a("\n x ")],
        [u("w"), a("", tool_calls=[CALL]), {"role": "tool", "content": "r1"}, {"role": "tool", "content": "r2"},
         a("done", reasoning_content="because")],
        [s("x"), s("y"), u("z")]]
TOOLS = [{"type": "function", "function": {
    "name": "f", "description": "does é",
    "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}}]
qwen3 = json.load(open(os.path.join(SRC, "qwen3", "tokenizer_config.json")))["chat_template"]
CHATML = (
    "{% for message in messages %}\n"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}\n{% endfor %}\n"
    "{% if add_generation_prompt %}\n{{ '<|im_start|>assistant\\n' }}\n{% endif %}\n")
LLAMA3 = (
    "{{- bos_token }}\n{%- if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}"
    "{% set rest = messages[1:] %}{%- else %}{% set system = '' %}{% set rest = messages %}{% endif %}\n"
    "{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' ~ system ~ '<|eot_id|>' }}\n{%- for m in rest %}\n  "
    "{%- if not (m.role == 'ipython' or 'tool_calls' in m) %}\n    "
    "{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' }}\n  "
    "{%- elif m.tool_calls is defined and m.tool_calls | length != 1 %}{{ raise_exception('one call') }}\n  "
    "{%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}")
MISC = [
 "{% set ns = namespace(n=0, t='') %}{% for m in messages %}{% set ns.n = ns.n + loop.index * 2 - 1 %}"
 "{% if m.role == 'user' %}{% continue %}{% endif %}{% set ns.t = ns.t ~ m.content[:1] %}{% endfor %}{{ ns.n }}|"
 "{{ ns.t }}|{{ 7 // 2 }}|{{ 7 % 4 }}|{{ 7 / 2 }}|{{ -3 + 1 }}|{{ 2 * 3.5 }}",
 "{% macro turn(r, c='none', end=true) %}[{{ r }}:{{ c }}]{% if end %}!{% endif %}{% endmacro %}"
 "{% for m in messages %}{{ turn(m.role, m.content) }}{{ turn('x') }}{{ turn(r='y', end=false) }}{% else %}empty"
 "{% endfor %}",
 "{{ messages | map(attribute='role') | join(', ') }} "
 "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} "
 "{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | list | tojson }} "
 "{{ (messages | first).role }} {{ (messages | last)['role'] | upper }}",
 "{{ missing is defined }} {{ missing is undefined }} {{ messages is iterable }} {{ messages[0] is mapping }} "
 "{{ messages[0].role is string }} {{ none is none }} {{ 1 is number }} {{ true is boolean }} "
 "{{ messages is not sequence }} {{ false is false }} {{ missing }}{{ missing | default('dflt') }} "
 "{{ '' | default('e', true) }}",
 "{%- for k, v in {'b': 1, 'a': [1, 'x']}.items() if v %}\n  {{ k }}={{ v }}{{ ',' if not loop.last }}\n"
 "{%- endfor %}\n{% for m in messages[::-1] %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}"
 "{{ loop.length }}{{ loop.previtem.role if loop.previtem is defined }} {% endfor %}",
 "{{ ' a-b '.strip().split('-') }} {{ 'abc'.startswith('a') and 'abc'.endswith('c') }} "
 "{{ 'aXbX'.replace('X', '') }} {{ 'x' in 'xyz' }} {{ 'q' not in ['a'] }} {{ (1 == 1) != (2 % 2 == 0) }} "
 "{{ 'é\"' | tojson }} {{ {'k': [1, {'z': none}]} | tojson(indent=2) }} {{ 'it''s' ~ \"a\\tb\" }}",
 "  {% if messages %}\n    kept line\n  {% endif %}\n{# comment #}\n  tail  {{- ' x ' -}}  \n end\n\n",
 "{% raw %}{{ not }}{% endraw %}{% generation %}{{ messages[0].content }}{% endgeneration %}{{ 'abc'[1:] }}"
 "{{ 'abc'[:-1] }}{{ [1,2,3][-1] }}{{ 'abc'[::-1] }}{{ 'Ab' | lower }}{{ 'ab cd'.title() }}"
 "{{ 'ab' | capitalize }}{{ '3' | int + 1 }}{{ [3,1,2] | sort }}{{ {'a':1}.get('b', 5) }}{{ range(3) | list }}"
 "{{ (1, 2) }}",
 "{% for i in range(1, 6) %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}{% set x %}block "
 "{{ messages|length }}{% endset %}[{{ x }}]{% set a, b = 1, 2 %}{{ a }}{{ b }}{{ 1 if false }}"
 "{{ 'n' if none else 'm' }}{{ not true }}{{ 1 < 2 <= 2 }}{{ [] or 'alt' }}{{ messages[0].get('nope') is none }}"
 "{{ messages[5] is defined }}",
]
out = []
made = [("chatml", CHATML), ("llama3", LLAMA3)] + [("misc%d" % i, x) for i, x in enumerate(MISC)]
for ti, (name, template) in enumerate([("qwen3", qwen3)] + made):
    for conv in CONV:
        for gp in (False, True):
            for tools, extra in ((None, {}), (TOOLS, {"enable_thinking": False})) if name == "qwen3" else ((None, {}),):
                try:
                    r, _ = render_jinja_template(
                        conversations=[conv], tools=tools, chat_template=template, add_generation_prompt=gp,
                        bos_token="<s>", eos_token="</s>", **extra)
                    text, error = r[0], None
                except Exception as e:
                    text, error = None, type(e).__name__ + ": " + str(e)
                out.append(dict(
                    template=name, messages=conv, tools=tools, extra=extra, generation=gp, text=text, error=error))
save("templates.json", dict(templates=dict(made), cases=out))

# ---- permutations -----------------------------------------------------------------------------------------------
perm = []
for seed in (0, 1, 42, 43, 3407, 2**31 - 1):
    for k in (1, 2, 10, 1388, 70000):
        g = torch.Generator(); g.manual_seed(seed)
        t = torch.randperm(k, generator=g).numpy().astype("<i4")
        p = numpy.random.default_rng(seed).permutation(k).astype("<i4")
        perm.append(dict(seed=seed, n=k, randperm=t[:12].tolist(),
                         randperm_sha256=hashlib.sha256(t.tobytes()).hexdigest(),
                         permutation=p[:12].tolist(), permutation_sha256=hashlib.sha256(p.tobytes()).hexdigest()))
save("permutations.json", dict(cases=perm))

# ---- NFC --------------------------------------------------------------------------------------------------------
rows = []
run = None
for c in range(0x110000):
    k = unicodedata.combining(chr(c)) if not 0xD800 <= c < 0xE000 else 0
    if run and run[2] == k and run[1] == c - 1: run[1] = c
    else:
        if run and run[2]: rows.append("C %X %X %d" % tuple(run))
        run = [c, c, k]
for c in range(0x110000):
    if 0xD800 <= c < 0xE000 or 0xAC00 <= c < 0xD7A4: continue
    d = unicodedata.decomposition(chr(c))
    if d and not d.startswith("<"):
        composes = len(d.split()) == 2 and unicodedata.normalize("NFC", chr(c)) == chr(c)
        rows.append("%s %X %s" % ("P" if composes else "D", c, d))
with open(os.path.join(OUT, "nfc.txt"), "w", newline="\n") as f:
    f.write("# Unicode %s canonical data. C first last class: combining class. " % unicodedata.unidata_version)
    f.write("P char a b: a + b composes to char.\n")
    f.write("# D char parts: decomposes and never composes. Hangul syllables are algorithmic. ")
    f.write("Made by eng/goldens/make_tokenizer_goldens.py\n")
    f.write("\n".join(rows) + "\n")
h = hashlib.sha256()
for c in range(0x110000):
    if not 0xD800 <= c < 0xE000: h.update(unicodedata.normalize("NFC", "e" + chr(c) + "\u0301\u0323").encode("utf-8"))
marks = [chr(c) for c in range(0x300, 0x3100) if unicodedata.combining(chr(c))]
marks += [chr(c) for c in (
    0x1161, 0x11A8, 0xAC00, 0x1100, 0x61, 0x41, 0x915, 0x93C, 0x9C7, 0x9BE, 0x212B, 0x1D15E, 0x1D165)]
def mark(): return R.choice(marks) if R.random() < .6 else R.choice("aeoAEO가한ा")
text = ["".join(mark() for _ in range(R.randrange(2, 14))) for _ in range(500)]
save(
    "nfc.json",
    dict(every_code_point_sha256=h.hexdigest(), texts=text, nfc=[unicodedata.normalize("NFC", x) for x in text]))
print(VERS)
