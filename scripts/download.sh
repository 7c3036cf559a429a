#!/usr/bin/env bash
# scripts/download.sh NAME [--revision R]: fetches a model from the Hugging Face hub into the hub's own cache, where
# `paligemma -m NAME` and transformers find it, and prints the folder.
#
#   NAME          google/paligemma-3b-mix-224, hf://google/paligemma-3b-mix-224; paligemma-3b-mix-224 is Google's too
#   --revision R  a branch, bfloat16 say, or a commit; main if there is none
#
# Most need a licence that you have accepted on their page, and a token: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or what the
# file HF_TOKEN_PATH holds, $HF_HOME/token if there is none. HF_ENDPOINT is another hub, HF_HUB_OFFLINE=1 forbids it
# all. A download that breaks off goes on where it stopped. docs/real_weights.md has the rest.
#
# Exit codes: 0 it is there; 1 something went wrong; 2 usage; 3 there is no such model, or you have no access.
set -euo pipefail

fail() {  # EXIT_CODE WHAT
  printf 'download.sh: %s\n' "$2" >&2
  exit "$1"
}

name='' revision=main
while (($#)); do
  case $1 in
    --revision) revision=${2-} && shift $(($# > 1)) ;;
    --revision=*) revision=${1#*=} ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit ;;
    -*) fail 2 "unknown flag $1" ;;
    *) name+=${name:+ }$1 ;;
  esac
  shift
done
name=${name#hf://}
[[ $name != *@* ]] || revision=${name#*@} name=${name%%@*}
[[ $name != paligemma* || $name == */* ]] || name=google/$name
word='[A-Za-z0-9_][A-Za-z0-9._-]*'
[[ $name =~ ^$word/$word$ && $name != *..* ]] || fail 2 "'$name': must be ORG/NAME, or a preset's name on the hub"
[[ $revision =~ ^$word(/$word)*$ && $revision != *..* ]] || fail 2 "--revision '$revision': is none"

# Where the hub's own client looks, and in that order. A variable that is set and empty is set.
home=${HF_HOME-${XDG_CACHE_HOME-$HOME/.cache}/huggingface}
hub=${HF_HUB_CACHE-${HUGGINGFACE_HUB_CACHE-$home/hub}}
hub=${hub/#\~\//$HOME/}
[[ $hub != *\$* ]] || fail 2 "$hub: has a variable in it that nobody has replaced"
repository=${hub:+$hub/}models--${name/\//--}
locks=${hub:+$hub/}.locks/models--${name/\//--}
endpoint=${HF_ENDPOINT:-https://huggingface.co}
endpoint=${endpoint%/}
[[ $endpoint =~ ^https?://[^/?#@]+ ]] || fail 2 "HF_ENDPOINT: $endpoint: must begin with https:// or http://"
host=${BASH_REMATCH[0]}
case ${HF_HUB_OFFLINE:-${TRANSFORMERS_OFFLINE:-}} in
  1 | [Oo][Nn] | [Yy][Ee][Ss] | [Tt][Rr][Uu][Ee]) fail 1 'HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids it' ;;
esac

token=${HF_TOKEN:-${HUGGING_FACE_HUB_TOKEN:-}}
token_file=${HF_TOKEN_PATH-$home/token}
token_file=${token_file/#\~\//$HOME/}
[[ -n $token || ! -r $token_file ]] || token=$(<"$token_file")
unset HF_TOKEN HUGGING_FACE_HUB_TOKEN
token=${token//[[:space:]]/}
[[ $token =~ ^[A-Za-z0-9._~+/=-]*$ ]] || fail 2 'the token has characters that are in none'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
progress=(--silent --show-error)
if [ -t 2 ]; then progress=(--progress-bar) && exec 3>&2; else exec 3>"$work/errors"; fi

is_of_hub() { [[ $1 =~ ^https?://[^/?#]* && ${BASH_REMATCH[0]} = "$host" ]]; }

# Only the hub itself gets the token. Its redirections are followed in look_up, those of other hosts by curl, which
# has token and address, that may be signed, by a file descriptor, since everybody sees its arguments.
request() {  # URL ARGUMENTS...
  local access="url = \"${1//[\"\\]/}\""
  if ! is_of_hub "$1"; then
    access+=$'\nlocation'
  elif [ -n "$token" ]; then
    access+=$'\n'"header = \"Authorization: Bearer $token\""
  fi
  curl --disable --config <(printf '%s\n' "$access") --proto '=https,http' --connect-timeout 30 \
    --speed-limit 1 --speed-time 60 "${@:2}" 2>&3
}

# Sets $commit, and $etag, $size and $url of a file at $at; $etag is empty where there is no such file.
look_up() {  # FILE
  local answer status next linked='' key value
  local -A said
  url=$endpoint/$name/resolve/${at//\//%2F}/$1 etag='' size=''
  for _ in 1 2 3 4 5; do
    answer=$(request "$url" --silent --show-error --head --header 'Accept-Encoding: identity' --retry 3 \
      --output "$work/headers" --write-out '%{http_code} %{redirect_url}') ||
      fail 1 "$host cannot be reached: $(tail -n 1 "$work/errors" 2>/dev/null)"
    read -r status next <<<"$answer"
    said=()
    while IFS=': ' read -r key value; do said[${key,,}]=${value%$'\r'}; done <"$work/headers"
    case $status in
      200 | 30[12378]) ;;
      401) fail 3 "$name: the hub answers 401: it wants a token (HF_TOKEN), or there is no such model" ;;
      403) fail 3 "$name: the hub answers 403: accept the licence at $endpoint/$name, with the account of your token" ;;
      404)
        [ "${said[x-error-code]-}" != RepoNotFound ] || fail 3 "$name: there is no such model at $endpoint"
        [ "${said[x-error-code]-}" != RevisionNotFound ] || fail 3 "$name: has no revision $revision"
        return  # it is the file that is not there
        ;;
      *) fail 1 "$name: the hub answers $status; try again later" ;;
    esac
    commit=${commit:-${said[x-repo-commit]-}}
    linked=${linked:-${said[x-linked-etag]-}} size=${size:-${said[x-linked-size]-}}
    [ "$status" != 200 ] || break
    url=$next
    is_of_hub "$url" || break
  done
  etag=${linked:-${said[etag]-}} etag=${etag#W/} etag=${etag//\"/}
  [ "$status" != 200 ] || size=${size:-${said[content-length]-}}
  [[ $commit =~ ^[0-9a-f]{40}$ && $etag =~ ^([0-9a-f]{40}|[0-9a-f]{64})$ && $size =~ ^[0-9]{1,15}$ ]] ||
    fail 1 "$name: $endpoint does not say which $1 it has, as a hub does: by commit, checksum and size"
}

bytes_in() { stat --dereference --format %s "$1" 2>/dev/null; }
is_whole() { [ "$(bytes_in "$1")" = "$size" ]; }

# Fetches $url into the file PART until it has $size bytes, from where it is. A file that has changed since is sent
# from its beginning (If-Range), which curl refuses to append (33), as it does where a server knows no ranges.
transfer() {  # FILE PART
  local part=$2 validator=${2%.incomplete}.etag.incomplete before after status how most=0 tries=0
  while ! is_whole "$part"; do
    before=$(bytes_in "$part")
    how=(--etag-save "$validator")
    if [ "$before" -gt 0 ]; then
      how=(--continue-at "$before")
      if grep -qs '^"' "$validator"; then how+=(--header "If-Range: $(<"$validator")"); fi
    fi
    status=$(request "$url" "${progress[@]}" --fail "${how[@]}" --output "$part" --write-out '%{http_code}') ||
      status+=" curl $?"
    after=$(bytes_in "$part")
    if [[ $after -gt $size || $status == 416* || $status == *' 33' ]]; then : >"$part" && rm -f "$validator"; fi
    [[ $after -le $size ]] || fail 1 "$1: is longer than the hub says"
    if [ "$after" -gt $((before > most ? before : most)) ]; then most=$after tries=0; else tries=$((tries + 1)); fi
    [ $tries -lt 5 ] || fail 1 "$1: $after of $size bytes have come, and now none ($status); try again later"
    [ $tries -lt 2 ] || sleep $((tries * tries))
    if [ "$after" != "$size" ]; then look_up "$1"; fi  # addresses expire
  done
  rm -f "$validator"
}

# Of these files those that there are, $fetched: blobs/ETAG, and a link to it from the snapshot.
fetch() {  # FILE...
  local file blob part sum up
  fetched=()
  for file in "$@"; do
    look_up "$file"
    [ -n "$etag" ] || continue
    at=$commit snapshot=$repository/snapshots/$commit fetched+=("$file")
    ! is_whole "$snapshot/$file" || continue
    mkdir -p "$repository/blobs" "$(dirname "$snapshot/$file")" "$locks"
    exec 4>"$locks/$etag.lock"
    flock 4  # another run may fetch it just now
    blob=$repository/blobs/$etag part=$repository/blobs/$etag.00000000.incomplete
    if ! is_whole "$blob"; then
      printf '%s: %s bytes\n' "$file" "$size" >&2
      touch "$part"  # from now on it has a size
      transfer "$file" "$part"
      sum=$(sha256sum <"$part")
      [ ${#etag} -eq 64 ] || sum=$({ printf 'blob %s\0' "$size" && cat "$part"; } | sha1sum)  # git's, of small files
      [ "${sum%% *}" = "${blob##*/}" ] || { rm "$part" && fail 1 "$file: has another checksum than the hub says"; }
      mv -f "$part" "$blob"
    fi
    up=${file//[!\/]/} up=${up//\//../}../..
    ln -sfT "$up/blobs/${blob##*/}" "$snapshot/$file" 2>/dev/null || mv -f "$blob" "$snapshot/$file"
    exec 4>&-
  done
}

at=$revision commit='' snapshot=''
fetch config.json
[ -n "${fetched[*]}" ] || fetch adapter_config.json
[ -n "${fetched[*]}" ] || fail 3 "$name: has no config.json at $revision: no model, of transformers or Keras"
files=({generation,preprocessor,processor,tokenizer}_config.json tokenizer.{model,json})
files+=(special_tokens_map.json added_tokens.json)
weights=model.safetensors index=model.safetensors.index.json
if [ "${fetched[*]}" = adapter_config.json ]; then  # of PEFT
  files=() weights=adapter_model.safetensors
elif grep -q '"class_name"' "$snapshot/config.json"; then  # a preset of Keras
  files=({metadata,task,preprocessor,image_converter,tokenizer}.json assets/tokenizer/vocabulary.spm)
  weights=model.weights.h5 index=model.weights.json
fi
fetch "${files[@]}"
fetch "$weights"
[ -n "${fetched[*]}" ] || fetch "$index"
[ -n "${fetched[*]}" ] || fail 3 "$name: has no $weights at $revision, and nothing else is read"
if [ "${fetched[*]}" = "$index" ]; then
  mapfile -t shards < <(grep -oE "\"$word\.(safetensors|weights\.h5)\"" "$snapshot/$index" | tr -d '"' | sort -u)
  fetch "${shards[@]}"
  [ ${#fetched[@]} -eq ${#shards[@]} ] || fail 3 "$name: has only ${#fetched[@]} of ${#shards[@]} files of its index"
fi

if [ "$revision" != "$commit" ]; then
  mkdir -p "$(dirname "$repository/refs/$revision")"
  printf %s "$commit" >"$repository/.ref.$$"
  mv -f "$repository/.ref.$$" "$repository/refs/$revision"
fi
printf '%s\n' "$snapshot"
