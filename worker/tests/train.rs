//! `albef-worker train`, and what is asked of its result, as a user types it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{World, refusal, worker};
use serde_json::Value;

fn metrics(world: &World, out: &str) -> Vec<Value> {
    let text = String::from_utf8(world.read(&format!("{out}/metrics.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a step computed, without what its clock says.
fn computed(lines: &[Value]) -> Vec<Value> {
    let timed = ["seconds", "images_per_s", "data_wait"];
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

#[test]
fn a_run_that_was_killed_or_stopped_ends_with_the_same_bits() {
    let world = World::new();
    assert!(world.train("whole", &[]).status.success());
    let expected = (world.read("whole/model.safetensors"), computed(&metrics(&world, "whole")));

    // Killed as soon as a state was saved, and again, then let go on.
    for _ in 0..2 {
        let mut child = world.training("killed", &["--set", "train.save_every=3"]).spawn().unwrap();
        let start = Instant::now();
        while !std::path::Path::new(&world.path("killed/state.safetensors")).exists() {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing was saved");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(world.train("killed", &[]).status.success());
    assert!(world.read("killed/model.safetensors") == expected.0, "killed: other weights");
    assert_eq!(computed(&metrics(&world, "killed")), expected.1);

    // Asked to stop: the step under way is finished and saved.
    let mut stopped = 0;
    while !std::path::Path::new(&world.path("stopped/model.safetensors")).exists() {
        let mut child = world.training("stopped", &["--set", "train.save_every=3"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300 + 100 * stopped));
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        // It may have been too early for a handler, or too late.
        assert!(matches!(code, Some(0 | 130) | None), "{sent} {code:?}");
        stopped += 1;
        assert!(stopped < 60);
    }
    assert!(world.read("stopped/model.safetensors") == expected.0, "stopped: other weights");
    assert_eq!(computed(&metrics(&world, "stopped")), expected.1);
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
