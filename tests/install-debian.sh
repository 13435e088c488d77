#!/usr/bin/env bash
# Debian packages the browser, media-file and paper tests use. Root installs them; anyone else is told what will be skipped.
set -euo pipefail
declare -A needs=([chromium]=chromium [firefox-esr]=firefox-esr [ffprobe]=ffmpeg [pdfsig]=poppler-utils [openssl]=openssl [espeak-ng]=espeak-ng [Orthanc]=orthanc)
missing=()
for command in "${!needs[@]}"; do
    command -v "$command" >/dev/null || missing+=("${needs[$command]}")
done
[ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing+=(fonts-noto-cjk)
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${missing[*]} (needs root and apt-get): the tests that use them will be skipped"
    exit 0
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
