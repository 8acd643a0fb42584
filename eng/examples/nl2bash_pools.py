"""Values for the slots of the example rows: what people say and what the command says, or one string for both."""


def words(text: str) -> list[str]:
    return text.split()


POOLS = {
    "dir": words("src logs docs backup data reports photos scripts config build archive /var/log /srv/www /opt/app"
                 " music public drafts videos /etc/nginx /var/spool models tests vendor assets uploads /usr/local/lib"
                 " exports templates themes /mnt/disk1"),
    "ext": words("txt log py md json csv sh html conf jpg c xml yml png pdf css js ini cpp bak rb sql"),
    "txt": words("notes.txt names.txt report.txt words.txt list.txt todo.txt lines.txt input.txt draft.md story.txt"
                 " items.txt readme.md letters.txt poem.txt scores.txt tasks.txt recipe.md diary.txt topics.txt"
                 " members.txt quotes.txt plan.md"),
    "urls": words("urls.txt links.txt downloads.txt pages.txt feeds.txt sources.txt images.txt mirrors.txt files.txt"
                  " videos.txt queue.txt papers.txt"),
    "hosts": words("hosts.txt servers.txt machines.txt nodes.txt cluster.txt ips.txt targets.txt routers.txt lab.txt"
                   " workers.txt printers.txt fleet.txt"),
    "out": words("result.txt clean.txt sorted.txt final.txt summary.txt new.txt merged.txt out.txt filtered.txt"
                 " unique.txt upper.txt export.txt"),
    "csv": words("users.csv sales.csv orders.csv prices.csv staff.csv grades.csv cities.csv stock.csv books.csv"
                 " flights.csv votes.csv rooms.csv parts.csv songs.csv taxes.csv visits.csv"),
    "log": words("access.log server.log error.log app.log auth.log mail.log build.log cron.log system.log install.log"
                 " proxy.log backup.log queue.log ftp.log worker.log daemon.log"),
    "word": words("error warning timeout failed refused TODO debug critical denied login started retry fatal missing"
                  " invalid success password closed restart overflow expired"),
    "old": words("foo http red draft localhost Monday dev cat v1 north alpha left cheap winter 2023 colour"),
    "new": words("bar https blue final example.com Friday prod dog v2 south beta right dear summer 2024 color"),
    "n": words("3 5 8 10 12 15 20 25 30 40 50 6 7 14 18 22 35 45 60 100"),
    "big": words("60 72 80 90 100 120 150 200 250 75 110 132 160 300"),
    "k": words("2 3 4 5 6 7 8 9"),
    "days": words("2 3 5 7 10 14 30 60 90 4 6 21 45 120 180 365"),
    "size": [(f"{number} {unit}B", f"{number}{unit}") for number, unit in (
        (1, "M"), (5, "M"), (10, "M"), (20, "M"), (50, "M"), (100, "M"), (500, "M"), (1, "G"), (2, "G"), (3, "M"),
        (25, "M"), (200, "M"), (4, "G"), (64, "k"), (750, "k"))],
    "col": [("first", "1"), ("second", "2"), ("third", "3"), ("fourth", "4"), ("fifth", "5"), ("sixth", "6"),
            ("seventh", "7"), ("eighth", "8"), ("ninth", "9")],
    "user": words("deploy backup www-data postgres builder guest operator git tester ann admin ftp mysql jenkins marta"
                  " kim"),
    "group": words("www staff developers docker audio web ops editors video research finance teachers lab writers"),
    "host": words("web1 db2 example.com node3 10.0.0.5 files.example.org build7 192.168.1.20 cache4 mail.example.net"
                  " app6 172.16.0.9 proxy2 git.example.com store5 10.1.2.3"),
    "url": words("https://example.com/data.json https://example.org/file.zip https://example.com/index.html"
                 " https://api.example.com/status https://example.net/list.txt https://example.org/news"
                 " http://localhost:8080/health https://files.example.com/setup.sh https://example.net/map.png"
                 " https://api.example.org/users https://example.com/song.mp3 http://localhost:3000/version"
                 " https://cdn.example.com/app.js https://example.org/paper.pdf"),
    "page": words("https://example.com/index.html https://example.org/news https://example.net/about"
                  " https://docs.example.com/start https://example.com/contact https://example.org/prices"
                  " https://shop.example.com/cart https://example.net/faq https://blog.example.org/today"
                  " https://example.com/help https://wiki.example.net/bash https://example.org/team"),
    "proc": words("nginx firefox python3 java sshd node mysqld gunicorn postgres redis-server chrome apache2 php-fpm"
                  " ruby vim dockerd"),
    "pid": words("1234 2201 3377 4810 512 9021 7755 6048 1187 2940 30412 871 5566 14002 2718 666"),
    "port": words("80 8080 443 3000 5432 6379 9000 8000 22 25 3306 27017 5000 8443 1883 9200"),
    "script": words("deploy.sh backup.sh run.sh install.sh clean.sh test.sh start.sh sync.sh report.sh build.sh"
                    " update.sh check.sh import.sh rotate.sh convert.sh train.sh"),
    "branch": words("feature-login bugfix release-2 dev docs-update hotfix cleanup new-parser dark-mode fix-tests"
                    " release-3 api-v2 refactor search-page experiment speedup"),
    "name": words("site project home release images invoices old weekly mail photos2024 website snapshot letters client"
                  " game thesis"),
    "mode": words("644 755 600 700 640 750 664 775 400 444"),
    "sym": [("executable for everyone", "a+x"), ("writable for the group", "g+w"), ("unreadable for others", "o-r"),
            ("executable for its owner", "u+x"), ("readable for everyone", "a+r"),
            ("no longer writable for the group", "g-w"), ("readable for the group", "g+r"),
            ("writable for its owner", "u+w"), ("no longer executable for others", "o-x"),
            ("executable for the group", "g+x")],
    "mark": [("commas", ","), ("semicolons", ";"), ("colons", ":"), ("dashes", "-"), ("underscores", "_"),
             ("dots", "."), ("slashes", "/"), ("plus signs", "+"), ("percent signs", "%"), ("at signs", "@"),
             ("equals signs", "=")],
    "delim": [("comma", ","), ("colon", ":"), ("semicolon", ";"), ("dash", "-"), ("slash", "/"), ("dot", "."),
              ("equals sign", "="), ("underscore", "_"), ("plus sign", "+"), ("percent sign", "%")],
    "range": [(f"{first} to {last}", f"{first},{last}") for first, last in (
        (1, 5), (10, 20), (5, 8), (100, 120), (30, 45), (2, 9), (50, 60), (3, 7), (15, 25), (200, 220), (12, 18),
        (40, 80), (6, 16), (21, 33))],
    "top": [(str(count), str(count + 1)) for count in (3, 5, 10, 15, 20, 8, 12, 4, 6, 7, 25, 30)],
    "signal": words("HUP TERM INT STOP CONT USR1 QUIT USR2 ALRM WINCH"),
    "when": [("the year, month and day", "%Y-%m-%d"), ("hours and minutes", "%H:%M"), ("the weekday", "%A"),
             ("the month name and year", "%B %Y"), ("the hour, minute and second", "%H:%M:%S"),
             ("the day of the year", "%j"), ("the Unix time in seconds", "%s"), ("the year", "%Y"),
             ("the month name", "%B"), ("the time zone", "%Z"), ("the hour", "%H"), ("the week number", "%V")],
    "remote": [("show the uptime", "uptime"), ("show free disk space", "df -h"), ("show free memory", "free -m"),
               ("list the home folder", "ls -l"), ("say who is logged in", "who"),
               ("show the kernel version", "uname -r"), ("print the host name", "hostname"),
               ("show the date", "date"), ("list the processes", "ps aux"), ("show the block devices", "lsblk"),
               ("print the number of processors", "nproc"), ("list open sockets", "ss -t")],
    "message": [text.strip() for text in """fix typo; add tests; update readme; first version; remove old code;
        speed up parser; handle empty input; rename module; bump version; fix login; clean up styles; add license;
        improve errors; close files""".split(";")],
}
