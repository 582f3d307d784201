//! Disks that are full or cannot be written, made of memory in a name space of the test's own.
use super::*;

/// Runs a script as root of its own name space; nothing where the system does not allow that.
fn in_own_mounts(script: &str, args: &[&str]) -> Option<Output> {
    let unshare = ["--user", "--map-root-user", "--mount", "sh", "-euc"];
    let may = Command::new("unshare").args(unshare).arg("mount -t tmpfs tmpfs /mnt").output();
    if !may.is_ok_and(|out| out.status.success()) {
        println!("not tested: no name spaces for users here");
        return None;
    }
    let albef = env!("CARGO_BIN_EXE_albef");
    Some(Command::new("unshare").args(unshare).args([script, "sh", albef]).args(args).output().unwrap())
}

#[test]
fn a_full_disk_is_one_line_and_the_build_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("build.toml");
    let list = pairs(&dir.path().join("web"), 400, 64);
    std::fs::write(&config, format!("[[source]]\npath = {list:?}\n[shards]\ntarget_mb = 1\n")).unwrap();
    let expected = dir.path().join("expected");
    let [config, expected] = [&config, &expected].map(|path| path.to_str().unwrap());
    said(&["corpus", "build", config, "--out", expected]);
    let copied = dir.path().join("copied");
    // Room for the survey's facts and the first shards, or for hardly anything.
    for size in ["2500k", "500k", "100k"] {
        let script = "mount -t tmpfs -o size=$4 tmpfs /mnt
            if $1 corpus build $2 --out /mnt/out; then exit 9; fi
            if $1 corpus build $2 --out /mnt/out; then exit 9; fi
            mount -o remount,size=100m /mnt
            $1 corpus build $2 --out /mnt/out
            rm -rf $3
            cp -a /mnt/out $3";
        let Some(out) = in_own_mounts(script, &[config, copied.to_str().unwrap(), size]) else { return };
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{size}: {:?} {said}", out.status);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{size}: {said}");
        for line in lines {
            assert!(line.contains("no space is left for") && line.contains("make room"), "{size}: {line}");
        }
        is_same(&tree(&copied), &tree(Path::new(expected)), size);
    }
}

#[test]
fn an_output_that_cannot_be_written_is_one_line_and_a_finished_one_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let list = pairs(&dir.path().join("web"), 3, 40);
    let script = "mount -t tmpfs tmpfs /mnt
        $1 corpus build $2 --out /mnt/whole >/dev/null
        mkdir /mnt/empty
        mount -o remount,ro /mnt
        if $1 corpus build $2 --out /mnt/empty; then exit 9; fi
        if $1 corpus build $2 --out /mnt/none; then exit 9; fi
        $1 corpus build $2 --out /mnt/whole
        $1 corpus verify /mnt/whole";
    let Some(out) = in_own_mounts(script, &[&list]) else { return };
    let (said, refused) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert!(out.status.success(), "{:?} {refused}", out.status);
    assert!(said.contains("kept 3 images") && said.ends_with("1 shards: ok\n"), "{said}");
    assert_eq!(refused.lines().count(), 2, "{refused}");
    for (line, path) in refused.lines().zip(["/mnt/empty", "/mnt/none"]) {
        assert!(line.contains(path) && line.contains("Read-only file system"), "{line}");
    }
}
