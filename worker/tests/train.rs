//! `albef-worker train`, and what is asked of its result, as a user types it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{World, refusal, worker};
use serde_json::Value;

fn metrics(world: &World, out: &str) -> Vec<Value> {
    let text = String::from_utf8(world.read(&format!("{out}/metrics.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a step computed, without what its clock says.
fn computed(lines: &[Value]) -> Vec<Value> {
    let timed = ["seconds", "images_per_s", "data_wait", "elapsed"];
    let mut lines = lines.to_vec();
    for line in &mut lines {
        line.as_object_mut().unwrap().retain(|key, _| !timed.contains(&key.as_str()));
    }
    lines
}

#[test]
fn a_run_leaves_its_model_its_figures_and_a_table() {
    let world = World::new();
    let out = world.train("run", &[]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    assert!(
        said.contains("R@10") && said.contains("ITM over the best 4") && said.contains("chance"),
        "{said}"
    );
    let lines = metrics(&world, "run");
    let steps: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "step").collect();
    assert_eq!(
        steps.iter().map(|s| s["step"].as_u64().unwrap()).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    for step in &steps {
        for key in ["loss", "loss_i2t", "loss_t2i", "loss_itm", "loss_mlm", "loss_mlm_distill", "temp", "lr"]
        {
            assert!(step[key].as_f64().unwrap() > 0.0, "{key}: {step}");
        }
        assert!((0.0..=1.0).contains(&step["data_wait"].as_f64().unwrap()));
    }
    // α rises with the samples seen: 6 of 16 a step.
    assert_eq!(steps[0]["alpha"], 0.0);
    assert!((steps[1]["alpha"].as_f64().unwrap() - 0.15).abs() < 1e-12 && steps[3]["alpha"] == 0.4);
    let evaluations: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "evaluation").collect();
    assert_eq!(evaluations.iter().map(|e| e["step"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 8]);
    assert_eq!(
        (&evaluations[1]["images"], &evaluations[1]["chance"]["text_to_image"]["r1"]),
        (&16.into(), &6.25.into())
    );

    // The same command has nothing left to do: it says the same figures again, and they are recorded once.
    let again = world.train("run", &[]);
    assert!(again.status.success());
    assert_eq!(computed(&metrics(&world, "run")), computed(&lines));

    let eval = Command::new(worker())
        .args(["eval", &world.path("run"), "--corpus", &world.path("corpus"), "--rerank", "4", "--json"])
        .output()
        .unwrap();
    let eval: Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert_eq!(eval["itc"], evaluations[1]["itc"]);
    assert_eq!(eval["itm"], evaluations[1]["itm"]);
}

/// Long enough to be met at any moment.
const LONG: [&str; 6] =
    ["--set", "schedule.steps=240", "--set", "train.save_every=7", "--set", "evaluation.every=60"];

/// Starts the long run into `out`, sends it a signal after some time, and returns how it ended and what it said.
fn interrupted(world: &World, out: &str, signal: &str, after: Duration) -> (ExitStatus, String) {
    let child = world.training(out, &LONG).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(after);
    // It may have ended by itself.
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status();
    let ended = child.wait_with_output().unwrap();
    (ended.status, String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn a_run_that_was_killed_or_stopped_ends_with_the_same_bits() {
    let world = World::new();
    let start = Instant::now();
    assert!(world.train("whole", &LONG).status.success());
    let whole = start.elapsed();
    let expected = (world.read("whole/model.safetensors"), computed(&metrics(&world, "whole")));

    for (signal, code) in [("-KILL", None), ("-INT", Some(130))] {
        let out = format!("run{signal}");
        // Later and later, so that it gets somewhere on any machine, at moments that have nothing to do with steps.
        let (mut tries, mut met, mut gone_on) = (0, 0, 0);
        loop {
            tries += 1;
            assert!(tries < 100, "it never ends");
            let after = whole.mul_f64(0.31 + 0.07 * f64::from(tries));
            let (status, said) = interrupted(&world, &out, signal, after);
            gone_on += u32::from(said.contains("going on at step"));
            if status.success() {
                break;
            }
            assert!(status.code() == code || (code.is_some() && status.code().is_none()), "{status}: {said}");
            met += 1;
        }
        assert!(met > 0 && gone_on > 0, "{signal}: {met} of {tries} met it, {gone_on} went on");
        assert!(world.read(&format!("{out}/model.safetensors")) == expected.0, "{signal}: other weights");
        assert_eq!(computed(&metrics(&world, &out)), expected.1, "{signal}");
    }
}

#[test]
fn what_a_killed_process_left_half_written_is_removed() {
    let world = World::new();
    assert!(world.train("run", &["--set", "schedule.steps=3"]).status.success());
    for name in [".weights-aB3", ".run-x"] {
        std::fs::write(world.path(&format!("run/{name}")), "half").unwrap();
    }
    assert!(world.train("run", &["--set", "schedule.steps=3"]).status.success());
    let left: Vec<_> =
        std::fs::read_dir(world.path("run")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn a_run_goes_on_with_its_own_corpora_wherever_they_lie_and_no_others() {
    let world = World::new();
    let short = |corpus: &str| {
        let corpus = format!("data.corpus=[{{ path = {:?} }}]", world.path(corpus));
        let mut child = world.training("run", &["--set", "schedule.steps=4", "--set", &corpus]);
        child.args(["--set", "evaluation.every=0"]).output().unwrap()
    };
    assert!(short("corpus").status.success());
    world.build("other", |config| config.image.max_side = Some(16));
    let line = refusal(&short("other"));
    assert!(line.contains("corpora.json") && line.contains("--fresh"), "{line}");
    std::fs::rename(world.path("corpus"), world.path("moved")).unwrap();
    std::os::unix::fs::symlink(world.path("moved"), world.path("corpus")).unwrap();
    assert!(short("moved").status.success());
}

#[test]
fn what_cannot_begin_costs_nothing_and_claims_nothing() {
    let world = World::new();
    let short = ["--set", "schedule.steps=3"];
    assert!(world.train("run", &short).status.success());
    let kept = (world.read("run/state.safetensors"), world.read("run/metrics.jsonl"));
    let mistake = ["--set", "schedule.steps=3", "--set", "train.init=\"nowhere.safetensors\"", "--fresh"];
    assert!(refusal(&world.train("run", &mistake)).contains("nowhere.safetensors"));
    assert!(kept == (world.read("run/state.safetensors"), world.read("run/metrics.jsonl")));
    // A folder where nothing was trained belongs to nobody.
    refusal(&world.train("new", &mistake[..4]));
    assert!(world.train("new", &short).status.success());
    // A model whose state is gone is not replaced by accident.
    std::fs::remove_file(world.path("run/state.safetensors")).unwrap();
    let line = refusal(&world.train("run", &short));
    assert!(line.contains("model.safetensors") && line.contains("--fresh"), "{line}");
}

#[test]
fn a_run_that_ended_with_its_time_stays_ended_until_it_gets_more() {
    let world = World::new();
    let run = |minutes: &str| {
        let minutes = format!("train.max_minutes={minutes}");
        let steps = ["--set", "schedule.steps=100000", "--set", "train.steps=60", "--set", &minutes];
        let out = world.train("run", &steps);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{said}");
        said
    };
    let said = run("1e-6");
    assert!(said.contains("the time is up after 1 of 60 steps"), "{said}");
    let ended = (metrics(&world, "run"), world.read("run/model.safetensors"));
    assert_eq!(ended.0.iter().filter(|line| line["kind"] == "step").count(), 1);
    run("1e-6");
    assert_eq!((computed(&metrics(&world, "run")), world.read("run/model.safetensors")), {
        (computed(&ended.0), ended.1.clone())
    });
    // With more time it goes on, and what it ends with is another model.
    let said = run("60");
    assert!(said.contains("going on at step 1 of 60"), "{said}");
    assert!(world.read("run/model.safetensors") != ended.1);
    assert_eq!(metrics(&world, "run").iter().filter(|line| line["kind"] == "step").count(), 60);
}

#[test]
fn a_run_that_diverges_ends_with_a_line() {
    let world = World::new();
    let wild = ["schedule.steps=50", "schedule.peak=1e30", "train.max_skipped=3", "evaluation.every=0"];
    let wild: Vec<&str> = wild.iter().flat_map(|&setting| ["--set", setting]).collect();
    let out = world.train("run", &wild);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.lines().last().unwrap().contains("3 steps in a row") && !said.contains("is saved"),
        "{said}"
    );
    let skipped = |line: &Value| line["skipped"] == true;
    let lines = metrics(&world, "run");
    assert!(lines.iter().rev().take(3).all(skipped) && !skipped(&lines[0]), "{lines:?}");
}

#[test]
fn a_folder_belongs_to_one_job_and_one_process() {
    let world = World::new();
    assert!(world.train("run", &["--set", "schedule.steps=3"]).status.success());
    let line = refusal(&world.train("run", &["--set", "schedule.steps=3", "--set", "model.momentum=0.5"]));
    assert!(line.contains("model.momentum") && line.contains("--fresh"), "{line}");
    let fresh = world.train("run", &["--set", "schedule.steps=3", "--set", "model.momentum=0.5", "--fresh"]);
    assert!(fresh.status.success(), "{}", String::from_utf8_lossy(&fresh.stderr));
    let held = std::fs::File::open(world.path("run/metrics.jsonl")).unwrap();
    held.lock().unwrap();
    let line = refusal(&world.train("run", &["--set", "schedule.steps=3", "--set", "model.momentum=0.5"]));
    assert!(line.contains("another process"), "{line}");
}

#[test]
fn what_cannot_be_trained_is_one_line_before_any_step() {
    let world = World::new();
    for (more, part) in [
        (&["--set", "data.vocabulary=\"nowhere.txt\""][..], "nowhere.txt"),
        (&["--set", "model.text.cls_id=101"], "model.text.cls_id = 101"),
        (&["--set", "model.text.vocab=20"], "model.text.vocab = 20"),
        (&["--set", "data.corpora=3"], "did you mean `corpus`"),
        (&["--set", "data.corpus=[]"], "data.corpus"),
        (&["--set", "data.max_tokens=40"], "max_positions = 16"),
        (&["--set", "augment.scale=[0.5,0.2]"], "scale"),
        (&["--set", "train.dtype=\"fp8\""], "train.dtype"),
        (&["--set", "evaluation.corpus=\"nowhere\""], "nowhere"),
        (&["--set", "train.init=\"nowhere.safetensors\""], "nowhere.safetensors"),
        (&["--set", "steps"], "KEY=VALUE"),
    ] {
        let line = refusal(&world.train("run", more));
        assert!(line.contains(part), "{more:?}: {line}");
    }
    let out = Command::new(worker()).args(["train", "small", "--out", &world.path("x")]).output().unwrap();
    assert!(refusal(&out).contains("[data]"));
}

#[test]
fn a_saved_model_finds_and_explains() {
    let world = World::new();
    assert!(world.train("run", &["--set", "schedule.steps=3"]).status.success());
    let ask = |args: &[&str]| Command::new(worker()).args(args).output().unwrap();
    let (run, corpus, sheet) = (world.path("run"), world.path("corpus"), world.path("sheet.png"));
    let out = ask(&[
        "search",
        &run,
        "a red thing",
        "--corpus",
        &corpus,
        "--top",
        "5",
        "--rerank",
        "8",
        "--out",
        &sheet,
    ]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.lines().all(|line| line.contains("match") && line.contains("thing")), "{text}");
    let scores: Vec<f64> = text
        .lines()
        .map(|line| line.split("match ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{text}");
    let drawn = image::load_from_memory(&world.read("sheet.png")).unwrap();
    assert!(drawn.width() > 700 && drawn.height() > 400);

    let (picture, heat) = (world.path("pictures/03.png"), world.path("heat.png"));
    let out = ask(&["explain", &run, &picture, "a red thing around", "--out", &heat]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let drawn = image::load_from_memory(&world.read("heat.png")).unwrap();
    // The picture and four words, in one row of five, somewhere warm.
    let pixels = drawn.to_rgb8();
    assert!(pixels.pixels().any(|p| i32::from(p.0[0]) - i32::from(p.0[2]) > 120 && p.0[1] < 120));
    assert!(drawn.width() > 900 && drawn.height() < 300, "{} x {}", drawn.width(), drawn.height());

    let vocabulary = world.path("vocab.txt");
    for (args, part) in [
        (&["explain", &run, &vocabulary, "a", "--out", &heat][..], "not an image"),
        (&["explain", &run, &picture, " ?! ", "--out", &heat], "nothing is left"),
        (&["explain", &run, &picture, "red", "--layer", "7", "--out", &heat], "below 2"),
        (&["explain", &run, &picture, "red", "--layer", "1", "--out", &heat], "only [CLS]"),
        (&["search", &run, "", "--corpus", &corpus], "nothing is left"),
        (&["search", &corpus, "red", "--corpus", &corpus], "config.toml"),
        (&["eval", &run, "--corpus", &run], "manifest.json"),
    ] {
        let line = refusal(&ask(args));
        assert!(line.contains(part), "{args:?}: {line}");
    }
}
