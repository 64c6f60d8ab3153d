#!/bin/bash
# Stand-in for chkconfig's alternatives: --install (with --slave or --follower), --remove, --auto; same state file.
# State: mode, link, then (name, link) of each follower, a blank line, then per choice: path, priority, followers' paths.
state=/var/lib/alternatives
etc=/etc/alternatives
mode=auto
link=
names=() links=()                   # followers
paths=() priorities=() targets=()   # choices; a choice's follower targets joined by |

load() {
    [ -s "$state/$1" ] || return 0
    local text more
    exec 3<"$state/$1"
    read -r mode <&3
    read -r link <&3
    while read -r text <&3 && [ -n "$text" ]; do
        names+=("$text")
        read -r text <&3
        links+=("$text")
    done
    while read -r text <&3; do
        paths+=("$text")
        read -r text <&3
        priorities+=("$text")
        more=
        for _ in "${names[@]}"; do
            read -r text <&3
            more="$more$text|"
        done
        targets+=("$more")
    done
    exec 3<&-
}

choose() {  # name: point the links at the choice of highest priority
    local i best=0 list
    for i in "${!paths[@]}"; do
        [ "${priorities[i]}" -gt "${priorities[best]}" ] && best=$i
    done
    ln -sfn "${paths[best]}" "$etc/$1"
    ln -sfn "$etc/$1" "$link"
    IFS='|' read -ra list <<<"${targets[best]}"
    for i in "${!names[@]}"; do
        [ -n "${list[i]}" ] || continue
        ln -sfn "${list[i]}" "$etc/${names[i]}"
        ln -sfn "$etc/${names[i]}" "${links[i]}"
    done
}

save() {
    local i j list
    if [ ${#paths[@]} = 0 ]; then
        rm -f "$state/$1" "$etc/$1" "$link"
        return
    fi
    {
        echo "$mode"
        echo "$link"
        for i in "${!names[@]}"; do printf '%s\n%s\n' "${names[i]}" "${links[i]}"; done
        echo
        for i in "${!paths[@]}"; do
            printf '%s\n%s\n' "${paths[i]}" "${priorities[i]}"
            IFS='|' read -ra list <<<"${targets[i]}"
            for j in "${!names[@]}"; do echo "${list[j]}"; done
        done
    } >"$state/$1.new"
    mv "$state/$1.new" "$state/$1"
    choose "$1"
}

case $1 in
--install)
    name=$3
    load "$name"
    link=$2 path=$4 priority=$5
    shift 5
    new_names=() new_links=() more=
    while [ $# -gt 0 ]; do
        case $1 in
        --slave | --follower)
            new_links+=("$2") new_names+=("$3") more="$more$4|"
            shift 4
            ;;
        *) shift ;;
        esac
    done
    [ ${#names[@]} = 0 ] && names=("${new_names[@]}") links=("${new_links[@]}")
    at=${#paths[@]}
    for i in "${!paths[@]}"; do [ "${paths[i]}" = "$path" ] && at=$i; done
    paths[at]=$path priorities[at]=$priority targets[at]=$more
    save "$name"
    ;;
--remove)
    load "$2"
    for i in "${!paths[@]}"; do
        [ "${paths[i]}" = "$3" ] && unset "paths[i]" "priorities[i]" "targets[i]"
    done
    paths=("${paths[@]}") priorities=("${priorities[@]}") targets=("${targets[@]}")
    save "$2"
    ;;
--auto)
    load "$2"
    mode=auto
    save "$2"
    ;;
esac
