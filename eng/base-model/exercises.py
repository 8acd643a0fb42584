"""Generated requests and commands that teach a small model to carry names and numbers over into a command.

None of the commands here is a template of examples/nl2bash. Names are put together from word lists, so that most of
them are new every time. A fixed seed: the same rows every time.
"""

import random

COUNT = 120_000
SEED = "exercises"

NOUNS = """account agenda album alert answer archive article asset audit banner basket batch beacon bill board book
border bridge budget bundle buyer cable cache calendar camera canvas cargo catalog channel chapter chart client clock
cloud code coffee column comet contact copper copy coral course cover crew customer cycle daily dataset deck delta
demo desk device diagram diary digest dock domain door dump edition editor engine entry event export factory field
figure finance flight flower forest frame fruit galaxy garden gateway ghost glass graph green group guide harbor
harvest header helper history hotel house image import index inbox island issue item journal kernel kitchen label
lake lamp layer ledger lesson letter level library light linen list local lunar machine magnet manual map market
master matrix member memo menu meter mirror mobile model module moon motor museum nature network night note number
object ocean office olive orange orbit outbox output owner packet page panel paper parcel partner patch payload
payment pearl pencil people phone photo piano picture pilot pixel planet plant player pocket policy pool portal
poster prism product profile proxy pulse purple query queue radar rain random raven reader recipe record region
remote render request river robot rocket roster route sample school score screen script season secret segment sensor
series service session setup shadow sheet shelf ship signal silver sketch snapshot socket solar source space spring
stack stage star station storage storm street student studio summer sunset survey switch system table target task
team temp theme ticket tiger timer token tool topic tower track traffic train travel tree trend tunnel tutorial
update upload user valley value vector vendor video village vision voice volume voucher walnut water weather web
wheel window winter wizard worker yellow zebra zone""".split()
ENDINGS = """txt log csv json xml yaml ini cfg html css js py rb go rs java c h cpp md rst tex pdf png gif svg jpeg wav
mp3 mp4 zip tgz bz2 xz iso img bak tmp old dat db sql sh pl lua php ts toml lock out err pid key pem crt""".split()
FOLDERS = """/etc /home /tmp /mnt /usr/local /var/lib /var/tmp /var/cache /opt /srv /media /usr/share""".split()
PEOPLE = """alice bob carol dave erin frank grace heidi ivan judy karl laura mike nina oscar peggy quinn rita sam
trent ursula victor wendy yusuf zoe anna boris clara dmitri elena felix""".split()
HOSTS = "web db mail cache proxy build edge node gw backup ns git app api auth dev".split()
SERVICES = """cron ssh apache2 bluetooth cups docker exim4 haproxy mariadb memcached named ntp postfix redis rsyslog
samba squid tor ufw varnish""".split()
PACKAGES = """htop tmux vim nano tree jq ripgrep ffmpeg imagemagick pandoc gcc make cmake python3 nodejs ruby golang
nmap tcpdump socat screen mc ncdu parallel rclone borgbackup shellcheck strace""".split()

# A command, then ways to ask for it. Slots: {f} file, {g} other file, {d} folder, {e} other folder, {w} word,
# {v} other word, {n} number, {m} other number, {u} user, {h} host, {s} service, {p} package, {x} ending.
TASKS = [
    ("cp {f} {g}", "copy {f} to {g}", "make a copy of {f} called {g}", "duplicate {f} as {g}"),
    ("cp {f} {d}/", "copy {f} into {d}", "put a copy of {f} in the folder {d}"),
    ("cp -r {d} {e}", "copy the folder {d} to {e}", "copy {d} with everything in it to {e}"),
    ("mv {f} {g}", "rename {f} to {g}", "give {f} the new name {g}", "change the name of {f} to {g}"),
    ("mv {f} {d}/", "move {f} into {d}", "put {f} into the folder {d}", "relocate {f} to {d}"),
    ("rm {f}", "delete {f}", "remove the file {f}", "erase {f}"),
    ("rm -i {f} {g}", "delete {f} and {g} but ask first", "remove {f} and {g} interactively"),
    ("rmdir {d}", "remove the empty folder {d}", "delete the directory {d} if it is empty"),
    ("mkdir -p {d}/{w}", "create the folder {w} inside {d} with its parents", "make {d}/{w} and missing parents"),
    ("touch {f}", "create an empty file {f}", "make the file {f} or update its time", "touch {f}"),
    ("touch {f} {g}", "create the files {f} and {g}", "make two empty files, {f} and {g}"),
    ("cat {f} {g} > {w}.{x}", "join {f} and {g} into {w}.{x}", "write {f} followed by {g} to {w}.{x}"),
    ("cat -n {f}", "print {f} with all lines numbered", "show {f} with a number before each line"),
    ("less {f}", "page through {f}", "view {f} one screen at a time"),
    ("diff {f} {g}", "compare {f} with {g}", "show how {f} and {g} differ", "what changed between {f} and {g}?"),
    ("cmp {f} {g}", "are {f} and {g} the same byte for byte?", "check that {f} and {g} are identical"),
    ("comm -12 {f} {g}", "print the lines that the sorted files {f} and {g} share",
     "what do {f} and {g} have in common?"),
    ("paste {f} {g}", "put {f} and {g} side by side", "join the lines of {f} and {g} in columns"),
    ("tac {f}", "print {f} from the last line to the first", "show {f} upside down, last line first"),
    ("rev {f}", "reverse the characters of every line of {f}", "print each line of {f} backwards"),
    ("nl {f}", "number the lines of {f} that are not blank", "print {f} with line numbers using nl"),
    ("fold -w {n} {f}", "wrap the lines of {f} at {n} characters", "fold {f} to a width of {n}"),
    ("split -l {n} {f} {w}", "split {f} into pieces of {n} lines named {w}", "cut {f} into {n}-line parts, prefix {w}"),
    ("split -b {n}k {f}", "split {f} into pieces of {n} kilobytes", "break {f} into parts of {n} KB"),
    ("truncate -s {n} {f}", "set the size of {f} to {n} bytes", "make {f} exactly {n} bytes long"),
    ("head -c {n} {f}", "print the first {n} bytes of {f}", "show {n} bytes from the beginning of {f}"),
    ("tail -c {n} {f}", "print the last {n} bytes of {f}", "show the final {n} bytes of {f}"),
    ("tail -n +{n} {f}", "print {f} starting with line {n}", "show everything from line {n} of {f} on"),
    ("column -t {f}", "line up the columns of {f}", "print {f} as a neat table"),
    ("sha256sum {f}", "compute the SHA-256 sum of {f}", "print the sha256 checksum of {f}"),
    ("md5sum {f} > {g}", "write the MD5 sum of {f} to {g}", "save the md5 checksum of {f} in {g}"),
    ("file {f}", "what kind of file is {f}?", "tell the type of {f}", "determine the file type of {f}"),
    ("basename {d}/{f}", "print {d}/{f} without its folder", "strip the directory from {d}/{f}"),
    ("dirname {d}/{f}", "print the folder part of {d}/{f}", "which directory is {d}/{f} in?"),
    ("realpath {f}", "print the absolute path of {f}", "resolve {f} to its full path"),
    ("ls -l {d}", "list {d} in long format", "show details of the files in {d}"),
    ("ls -a {d}", "list {d} with hidden files", "show everything in {d}, dot files as well"),
    ("ls -t {d} | head -{n}", "list the {n} newest files of {d}", "show the {n} most recent entries in {d}"),
    ("ls -d {d}/*.{x}", "list the .{x} entries of {d} with their path", "show paths of all .{x} files in {d}"),
    ("cd {d}", "go to {d}", "change the working directory to {d}", "enter the folder {d}"),
    ("pushd {d}", "go to {d} and remember where I was", "push {d} on the directory stack"),
    ("tree -L {n} {d}", "draw the tree of {d}, {n} levels", "show {d} as a tree {n} levels deep"),
    ("seq {n} {m}", "count from {n} to {m}", "print the numbers {n} through {m}"),
    ("seq {n} {k} {m}", "count from {n} to {m} in steps of {k}", "print every {k}th number between {n} and {m}"),
    ("sleep {n}", "wait {n} seconds", "pause for {n} seconds", "do nothing for {n} seconds"),
    ("timeout {n} ./{w}.sh", "run {w}.sh for at most {n} seconds", "stop {w}.sh after {n} seconds"),
    ("nice -n {k} ./{w}.sh", "run {w}.sh with niceness {k}", "start {w}.sh at nice level {k}"),
    ("nohup ./{w}.sh &", "keep {w}.sh running after I log out", "run {w}.sh in the background, immune to hangups"),
    ("watch -n {n} cat {f}", "show {f} again every {n} seconds", "watch {f}, refreshing every {n} seconds"),
    ("time ./{w}.sh", "how long does {w}.sh take?", "measure the run time of {w}.sh"),
    ("echo '{w} {v}' > {f}", "write '{w} {v}' to {f}", "put the text '{w} {v}' into {f}"),
    ("echo '{w}' >> {f}", "append the line '{w}' to {f}", "add '{w}' at the end of {f}"),
    ("printf '%s\\n' {w} {v}", "print {w} and {v} on lines of their own", "output {w} and {v}, one a line"),
    ("export {W}={v}", "set the environment variable {W} to {v}", "export {W} with the value {v}"),
    ("unset {W}", "remove the variable {W}", "unset the variable {W}"),
    ("echo \"${W}\"", "print the variable {W}", "show the value of {W}"),
    ("printenv {W}", "print the environment variable {W} with printenv", "look up {W} in the environment"),
    ("alias {w}='ls -l {d}'", "make {w} short for listing {d}", "define the alias {w} for ls -l {d}"),
    ("unalias {w}", "forget the alias {w}", "remove the alias called {w}"),
    ("test -f {f} && echo yes", "say yes if {f} is a file", "print yes when the file {f} exists"),
    ("[ -d {d} ] || mkdir {d}", "make {d} unless it exists", "create the folder {d} if it is missing"),
    ("[ {n} -lt {m} ] && echo {w}", "print {w} if {n} is less than {m}", "when {n} is below {m} say {w}"),
    ("echo $(({n} + {m}))", "add {n} and {m}", "what is {n} plus {m}?", "compute the sum of {n} and {m}"),
    ("echo $(({n} * {m}))", "multiply {n} by {m}", "what is {n} times {m}?"),
    ("expr length {w}", "how many letters has {w}?", "print the length of the word {w}"),
    ("which {p}", "where is the program {p}?", "print the path of {p}"),
    ("man {p}", "open the manual of {p}", "show the manual page for {p}"),
    ("apt-get install {p}", "install the package {p}", "get {p} with apt-get"),
    ("apt-get remove {p}", "uninstall {p}", "remove the package {p} with apt-get"),
    ("dpkg -L {p}", "list the files of the package {p}", "which files did {p} install?"),
    ("apt-cache show {p}", "describe the package {p}", "show what apt knows about {p}"),
    ("systemctl restart {s}", "restart the service {s}", "stop and start {s} with systemd"),
    ("systemctl status {s}", "is the service {s} up?", "show the state of {s}"),
    ("systemctl enable {s}", "start {s} at every boot", "enable the service {s}"),
    ("journalctl -u {s} -n {n}", "show {n} journal lines of {s}", "print the latest {n} log entries of the unit {s}"),
    ("useradd -m {u}", "create the user {u} with a home folder", "add an account called {u} and its home"),
    ("usermod -aG {w} {u}", "add {u} to the group {w}", "put the user {u} into group {w}"),
    ("passwd -l {u}", "lock the account of {u}", "disable the password of {u}"),
    ("groups {u}", "which groups is {u} in?", "list the groups of {u}"),
    ("id {u}", "print the ids of {u}", "show uid and gid of the user {u}"),
    ("crontab -l -u {u}", "list the cron jobs of {u}", "show the crontab of user {u}"),
    ("last -n {n} {u}", "show the latest {n} logins of {u}", "when did {u} log in? {n} entries"),
    ("su - {u}", "become {u} with a login shell", "switch to the user {u}"),
    ("chgrp {w} {f}", "give {f} to the group {w}", "set the group of {f} to {w}"),
    ("dig +short {h}.{w}.net", "look up the address of {h}.{w}.net", "resolve {h}.{w}.net with dig"),
    ("host {h}.{w}.org", "which address has {h}.{w}.org?", "ask the DNS for {h}.{w}.org"),
    ("nc -z {h} {n}", "is port {n} of {h} open?", "probe {h} at port {n}"),
    ("ping -c {k} {h}", "ping {h} {k} times", "send {k} pings to {h}"),
    ("traceroute {h}", "trace the way to {h}", "which routers lie between here and {h}?"),
    ("ssh -p {n} {u}@{h}", "log in to {h} as {u} at port {n}", "open a shell on {h}, port {n}, user {u}"),
    ("ssh-copy-id {u}@{h}", "install my key for {u} on {h}", "copy my public key to {h}, account {u}"),
    ("sftp {u}@{h}", "start an sftp session on {h} as {u}", "transfer files with {h} by sftp, user {u}"),
    ("wget -O {f} https://{h}.{w}.com/{g}", "save https://{h}.{w}.com/{g} as {f}",
     "fetch https://{h}.{w}.com/{g} to {f}"),
    ("git add {f} {g}", "stage {f} and {g}", "add {f} and {g} to the next commit"),
    ("git clone https://{h}.{w}.org/{v}.git", "clone the repository https://{h}.{w}.org/{v}.git",
     "get a copy of https://{h}.{w}.org/{v}.git with git"),
    ("git branch -d {w}-{v}", "delete the branch {w}-{v}", "remove the merged git branch {w}-{v}"),
    ("git tag {w}-{n}", "tag this commit as {w}-{n}", "create the git tag {w}-{n}"),
    ("git merge {w}-{v}", "merge the branch {w}-{v}", "bring {w}-{v} into the current branch"),
    ("git remote add {w} {u}@{h}:{v}.git", "add {u}@{h}:{v}.git as the remote {w}",
     "register the remote {w} at {u}@{h}:{v}.git"),
    ("git blame {f}", "who wrote which line of {f}?", "show the author of every line in {f}"),
    ("git diff {w} {v}", "compare the branches {w} and {v}", "what differs between {w} and {v} in git?"),
    ("bzip2 -k {f}", "compress {f} with bzip2 and keep it", "make {f}.bz2 beside {f}"),
    ("xz -{k} {f}", "compress {f} with xz at level {k}", "xz {f}, level {k}"),
    ("unzip {w}.zip -d {d}", "unzip {w}.zip into {d}", "extract the zip archive {w}.zip to {d}"),
    ("cpio -i < {w}.cpio", "unpack {w}.cpio", "extract the archive {w}.cpio with cpio"),
    ("dd if={f} of={g} bs={n} count={k}", "copy {k} blocks of {n} bytes from {f} to {g}",
     "with dd, write {k} blocks of size {n} of {f} to {g}"),
    ("od -c {f} | head -{n}", "dump {f} as characters, {n} lines", "show {n} lines of an od dump of {f}"),
    ("strings -n {k} {f}", "print the strings in {f} of at least {k} characters", "text of {k} or more letters in {f}"),
    ("iconv -f latin1 -t utf-8 {f} > {g}", "convert {f} from latin1 to utf-8 as {g}", "write {f} in utf-8 to {g}"),
    ("expand -t {k} {f}", "turn tabs of {f} into {k} spaces", "expand the tabs in {f}, {k} columns each"),
    ("tee {f} < {g}", "print {g} and save it as {f}", "show {g} while writing it to {f}"),
    ("{p} --version", "which version of {p} is this?", "print the version of {p}"),
    ("{p} {f} > {g} 2> {w}.err", "run {p} on {f}, output to {g}, errors to {w}.err",
     "feed {f} to {p}; results in {g} and errors in {w}.err"),
    ("for i in $(seq {n}); do echo {w}; done", "print {w} {n} times", "say {w} {n} times in a loop"),
    ("until [ -e {f} ]; do sleep {k}; done", "wait until {f} exists, looking every {k} seconds",
     "check every {k} seconds for {f} and stop when it is there"),
    ("if [ -s {f} ]; then echo {w}; else echo {v}; fi", "print {w} if {f} has content, otherwise {v}",
     "say {w} when {f} is not empty and {v} when it is"),
    ("readlink -f {f}", "where does the link {f} point in the end?", "follow {f} to its final target"),
    ("mount {d} {e}", "mount {d} at {e}", "attach {d} to the mount point {e}"),
    ("umount {d}", "unmount {d}", "detach the file system at {d}"),
    ("fuser -v {f}", "which processes use {f}?", "who has {f} open? use fuser"),
    ("renice {k} -p {n}", "set the niceness of process {n} to {k}", "give process {n} the priority {k}"),
    ("shred -u -n {k} {f}", "overwrite {f} {k} times and delete it", "shred {f} with {k} passes and remove it"),
]


def exercises() -> list[dict]:
    draw = random.Random(SEED)

    def word() -> str:
        kind = draw.random()
        if kind < 0.5:
            return draw.choice(NOUNS)
        if kind < 0.7:
            return draw.choice(NOUNS) + draw.choice("-_") + draw.choice(NOUNS)
        if kind < 0.9:
            return draw.choice(NOUNS) + str(draw.randrange(1, 100))
        return "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(draw.randrange(2, 7)))

    def file() -> str:
        return f"{word()}.{draw.choice(ENDINGS)}"

    def folder() -> str:
        return draw.choice(FOLDERS) + "/" + word() if draw.random() < 0.4 else word()

    def number() -> int:
        return draw.choice([draw.randrange(1, 10), draw.randrange(10, 100), draw.randrange(100, 10_000)])

    rows = {}
    while len(rows) < COUNT:
        command, *wordings = draw.choice(TASKS)
        values = {"f": file(), "g": file(), "d": folder(), "e": folder(), "w": word(), "v": word(), "n": number(),
                  "m": number(), "k": draw.randrange(2, 10),
                  "u": draw.choice(PEOPLE) + draw.choice(["", "", str(number())]),
                  "h": draw.choice(HOSTS) + str(draw.randrange(1, 30)), "s": draw.choice(SERVICES),
                  "p": draw.choice(PACKAGES), "x": draw.choice(ENDINGS),
                  "W": draw.choice(NOUNS).upper() + draw.choice(["", "_" + draw.choice(NOUNS).upper()])}

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace("{" + name + "}", str(value))
            return text

        row = {"request": fill(draw.choice(wordings)), "command": fill(command)}
        rows.setdefault((row["request"], row["command"]), row)
    return list(rows.values())
