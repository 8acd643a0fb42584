#!/usr/bin/env bash
# Downloads the Debian packages of packages.txt and unpacks their documentation. Nothing is installed.
#
#   eng/base-model/fetch.sh WORK
#
# Needs Debian 12 with apt's lists up to date (apt-get update) and "main" as the only section they hold: a package of
# another section is refused. WORK/deb keeps the packages, WORK/unpacked one folder per package. A version that the
# mirror has replaced is at https://snapshot.debian.org; put its .deb into WORK/deb and run again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/deb" "$1/unpacked"
cd "$1"

mapfile -t wanted < <(awk '!/^#/ && NF {print $1 "=" $2}' "$here/packages.txt")
refused=$(apt-cache show "${wanted[@]}" | awk '/^Package:/ {p = $2} /^Section:.*\// {print p, $2}')
if [ -n "$refused" ]; then
    printf 'not from section main:\n%s\n' "$refused" >&2
    exit 1
fi

cd deb
missing=()
for entry in "${wanted[@]}"; do
    version=${entry#*=}
    compgen -G "${entry%%=*}_${version//:/%3a}_*.deb" > /dev/null || missing+=("$entry")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get download "${missing[@]}"
fi

cd ..
for file in deb/*.deb; do
    name=$(basename "$file")
    folder=unpacked/${name%%_*}
    if [ ! -d "$folder" ]; then
        mkdir -p "$folder.part"
        # A package without one of these paths is no error.
        dpkg-deb --fsys-tarfile "$file" | tar -x -C "$folder.part" --no-same-owner --wildcards \
            './usr/share/man/man*' './usr/share/doc/*' './usr/share/info/*' './usr/share/debian-*/*' \
            2> /dev/null || true
        mv "$folder.part" "$folder"
    fi
done
echo "$(find deb -name '*.deb' | wc -l) packages, $(du -sm deb | cut -f1) MB; unpacked $(du -sm unpacked | cut -f1) MB"
