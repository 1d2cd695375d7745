# Applets of Debian's busybox, most of them in ordinary use; the output must be the same on Linux and on Hob.
cd /tmp && mkdir work && cd work
title() { printf '== %s\n' "$*"; }

title text; printf 'pear 3\napple 1\nfig 2\napple 1\n' >fruit
cat fruit; sort fruit; sort -k2n fruit; sort -u fruit; sort fruit | uniq -c
grep -n apple fruit; egrep -c 'a|f' fruit; fgrep fig fruit; sed 's/apple/lemon/;2d' fruit
awk '{s += $2} END {print s, NR}' fruit; cut -d' ' -f1 fruit; tr a-z A-Z <fruit; rev fruit
head -n 1 fruit; tail -n 2 fruit; tac fruit; nl fruit; wc fruit; wc -l <fruit
paste fruit fruit; fold -w 3 fruit; expand fruit; printf '\ta\n' | unexpand -a
seq 3; seq 10 -3 1; yes no | head -n 2; echo a b c | xargs -n 1 echo; printf 'a\0b\0' | xargs -0 echo
strings /bin/busybox | head -n 0; od -c fruit | head -n 2; hexdump -C fruit; xxd fruit
cmp fruit fruit && echo same; sed 1d fruit >other; diff fruit other; echo "diff: $?"

title sums; md5sum fruit; sha1sum fruit; sha256sum fruit; sha512sum fruit; crc32 fruit; base64 fruit
uuencode fruit name | head -n 2; echo aGVsbG8= | base64 -d; echo

title files; mkdir -p a/b/c; touch a/b/c/f; cp -r a z; mv z y; ln -s a/b link; ln fruit hard
find a y | sort; readlink link; realpath link; stat -c '%a %s %h %F' fruit hard; basename /x/y.z .z; dirname /x/y.z
chmod 640 fruit; stat -c %A fruit; chmod u+x,g-r fruit; ls -l fruit | cut -c1-10; test -x fruit && echo can run
truncate -s 5 short; du -k short | cut -f1; dd if=/dev/zero of=zeros bs=512 count=3 2>/dev/null; stat -c %s zeros
mktemp -d t.XXXXXX | wc -c; rmdir t.*; rmdir a/b 2>/dev/null || echo not empty; rm -r y; ls; unlink hard; mkfifo pipe
(echo through >pipe &) ; cat pipe; shred -n 1 -u short; [ -e short ] || echo shredded; sync
which cat; ls -d link/; [ -L link ] && echo a link; ls missing 2>&1; cat a 2>&1; cd fruit 2>&1

title archives; tar cf a.tar a; tar tf a.tar | sort; gzip -c fruit | gunzip
tar czf a.tgz a; mkdir out; tar xzf a.tgz -C out; find out | sort; echo a | cpio -o -H newc 2>/dev/null | wc -c
gzip -k fruit; zcat fruit.gz | cmp - fruit && echo packed

title processes; (exit 7); echo $?; sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -SEGV $$' 2>/dev/null; echo $?
sleep 0; usleep 1; timeout 1 sleep 10; echo "timeout: $?"; nice; nice -n 5 nice; true; false || echo false
{ sleep 5 & kill $!; wait $!; } 2>/dev/null; echo "killed: $?"; (trap 'echo trapped' USR1; kill -USR1 $(exec sh -c 'echo $PPID'); true)
echo one two | { read x y; echo "$y $x"; }; echo sub $(echo stitution) $((2 ** 10)); env -i A=b env; nohup true
printf '%s\n' 1 2 3 | while read n; do echo $((n * n)); done; set -- a b c; shift; echo $# $*; expr 6 \* 7; factor 360
seq 100000 | tail -n 1; yes | head -n 20000 | wc -l; echo x | tee t1 t2; cat t1 t2; echo 'print 6 * 7' | dc 2>/dev/null
echo '2 ^ 64' | bc; ps -o comm | head -n 1; pidof none; echo $?; time -f '' true 2>/dev/null; ulimit -n

title system; uname -s; uname -m; hostname; whoami; id; groups; logname 2>/dev/null; tty >/dev/null && echo a terminal
stty size; date -u -d @0; date -u -d @86400 +%F; cal 2 2024; [ -r /proc/uptime ] && uptime | grep -c load
free | head -n 1 | wc -w; dmesg | wc -l | grep -c .; mount | grep -c ' /proc '; df / >/dev/null; echo $?; nproc | grep -c .
umask; pwd; sysctl -n kernel.ostype 2>/dev/null; getopt ab: -a -b c; run-parts /none 2>&1 | wc -l
ls /proc/self/fd | wc -l | grep -c .; cat /proc/self/comm; printenv HOME; echo "$HOME"; vi --help 2>/dev/null; ts </dev/null
cp /bin/busybox b; ./b echo copied; chmod -x b; ./b 2>&1; ./missing 2>&1; echo "last: $?"; rm b; shuf -i 1-5 | sort | tr '\n' ' '
