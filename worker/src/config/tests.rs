use super::*;

#[test]
fn every_shipped_configuration_is_valid() {
    for (name, _) in SHIPPED {
        if let Err(error) = JobConfig::load(name) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn the_base_configuration_is_the_published_one() {
    let Ok(base) = JobConfig::load("albef-base") else { panic!("albef-base does not load") };
    assert_eq!(base.schedule, Schedule::published());
    assert_eq!(base.optimizer, OptimizerConfig::default());
    assert_eq!((base.model.vision.tokens(), base.model.text.fusion_depth()), (257, 6));
}

fn problem(edit: impl Fn(&str) -> String) -> String {
    match JobConfig::parse(&edit(include_str!("../../../configs/small.toml")), &[]) {
        Ok(_) => "accepted".into(),
        Err(problem) => problem,
    }
}

#[test]
fn an_unknown_key_suggests_the_nearest() {
    let line = problem(|text| text.replace("queue_size", "queu_size"));
    assert!(line.contains("did you mean `queue_size`?"), "{line}");
    assert!(!line.contains('\n'));
}

#[test]
fn impossible_values_name_their_field() {
    for (from, to, field) in [
        ("heads = 4", "heads = 5", "vision.heads"),
        ("patch = 16", "patch = 17", "vision.patch"),
        ("fusion_layer = 3", "fusion_layer = 6", "text.fusion_layer"),
        ("fusion_layer = 3", "fusion_layer = 7", "text.fusion_layer"),
        ("local_batch = 16", "local_batch = 1", "local_batch"),
        ("alpha = 0.4", "alpha = 1.4", "alpha"),
        ("dropout = 0.1", "dropout = 1.0", "text.dropout"),
        ("queue_size = 4096", "queue_size = 0", "queue_size"),
        ("warmup = 500", "warmup = 20000", "schedule.warmup"),
        ("local_batch = 16", "local_batch = 100000000000", "local_batch"),
        ("logical_ranks = 1", "logical_ranks = 100000000000", "logical_ranks"),
        ("[schedule]", "clip_norm = nan\n[schedule]", "optimizer.clip_norm"),
        ("seed = 42", "seed = 42\ntrain.max_minutes = inf", "train.max_minutes"),
        ("seed = 42", "seed = 42\ntrain.max_skipped = 0", "train.max_skipped"),
        ("seed = 42", "seed = 42\ntrain.steps = 9223372036854775807", "train.steps"),
    ] {
        let line = problem(|text| text.replacen(from, to, 1));
        assert!(line.contains(field) && !line.contains('\n'), "{to}: {line}");
    }
}

#[test]
fn a_wrong_type_and_broken_toml_are_one_line() {
    for (from, to, place) in [
        ("depth = 6", "depth = \"six\"", "model.vision.depth"),
        ("depth = 6", "depth = \"6\"", "model.vision.depth"),
        ("depth = 6", "depth = 6.4", "model.vision.depth"),
        ("heads = 4", "heads = true", "model.vision.heads"),
        ("alpha = 0.4", "alpha = \"0.4\"", "alpha"),
        ("alpha = 0.4", "alpha = true", "alpha"),
        ("seed = 42", "seed = 42.7", "seed"),
        ("seed = 42", "seed = -1", "seed"),
        ("[model]", "[model", "model"),
        ("kind = \"cosine\"", "", "kind"),
    ] {
        let line = problem(|text| text.replacen(from, to, 1));
        assert!(line.contains(place) && !line.contains('\n'), "{to}: {line}");
    }
}

#[test]
fn sizes_that_would_overflow_are_refused() {
    for (from, to) in [
        ("image_res = 128", "image_res = 9223372036854775807"),
        ("depth = 6", "depth = 1000000000000"),
        ("vocab = 30522", "vocab = 4000000000000"),
        ("queue_size = 4096", "queue_size = 9223372036854775807"),
    ] {
        let line = problem(|text| text.replacen(from, to, 1));
        assert!(line.contains("must lie between 1 and"), "{to}: {line}");
    }
}

/// The paths of all keys of a tree; of a list, those of its first entry.
fn keys(path: &str, value: &serde_json::Value, out: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                keys(&format!("{path}.{key}"), value, out);
            }
        }
        serde_json::Value::Array(list) if list.first().is_some_and(serde_json::Value::is_object) => {
            keys(path, &list[0], out);
        }
        _ => {
            out.insert(path.to_owned());
        }
    }
}

#[test]
fn the_reference_has_every_key_there_is() {
    let text = include_str!("../../../configs/reference.toml");
    let job = JobConfig::parse(text, &[]).unwrap_or_else(|problem| panic!("{problem}"));
    let tree: serde_json::Value = serde_json::to_value(&job).unwrap_or_default();
    let written = config::Config::builder()
        .add_source(config::File::from_str(text, config::FileFormat::Toml))
        .build()
        .and_then(|c| config::Source::collect(&c))
        .unwrap_or_else(|error| panic!("{error}"));
    let (mut known, mut shown) = Default::default();
    keys("", &tree, &mut known);
    keys("", &exact(config::Value::from(written)).unwrap_or_default(), &mut shown);
    assert_eq!(known, shown);
}

#[test]
fn a_value_is_replaced_from_the_command_line() {
    let text = include_str!("../../../configs/small.toml");
    let set = |setting: &str| JobConfig::parse(text, &[setting.to_owned()]);
    assert_eq!(set("model.vision.depth=2").map(|job| job.model.vision.depth), Ok(2));
    assert_eq!(set("train.dtype=bf16").map(|job| job.train.dtype), Ok(albef_model::Precision::Bf16));
    assert_eq!(set("train.init=\"a b\"").map(|job| job.train.init), Ok(Some("a b".to_owned())));
    for (setting, part) in [
        ("model.vision.depth=x", "model.vision.depth"),
        ("model.vision.dept=2", "did you mean `depth`?"),
        ("seed", "KEY=VALUE"),
        ("a b=1", "path of a key"),
        ("=1", "path of a key"),
    ] {
        let line = set(setting).err().unwrap_or_default();
        assert!(line.contains(part) && !line.contains('\n'), "{setting}: {line}");
    }
}
