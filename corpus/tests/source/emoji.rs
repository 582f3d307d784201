use albef_corpus::image::Limits;
use albef_corpus::record::{ImageRef, Problem};
use albef_corpus::source::svg::Renderer;

use super::*;

const SET: &str = r##"{
    "prefix": "noto",
    "icons": {
        "red-apple": {"body": "<rect width=\"10\" height=\"20\" fill=\"#f00\"/>"},
        "wide": {"body": "<rect/>", "width": 40, "left": -2},
        "old": {"body": "<rect/>", "hidden": true},
        "waving-hand-medium-dark-skin-tone": {"body": "<rect/>"},
        "broken": {"width": 3},
        "twice": {"body": "a", "body": "b"},
        "vertical-traffic-light": {"body": "<rect/>"}
    },
    "aliases": {"apple": {"parent": "red-apple"}},
    "width": 10,
    "height": 20
}"##;
const CHARS: &str = r#"{"1f34e": "red-apple", "1f34f-fe0f": "red-apple", "2b1b-fe0f": "wide"}"#;
const LABELS: &str = r#"[
    {"label": "red apple", "hexcode": "1F34E", "tags": ["fruit", "red"], "skins": []},
    {"label": "black large square", "hexcode": "2B1B", "tags": []},
    {"label": "vertical traffic light", "hexcode": "1F6A6", "tags": ["stop"],
     "skins": [{"label": "another", "hexcode": "1F6A6-1F3FB"}]}
]"#;

fn package() -> Folder {
    Folder::new()
        .with("noto/icons.json", SET)
        .with("noto/chars.json", CHARS)
        .with("noto/info.json", r#"{"license": {"spdx": "Apache-2.0", "title": "Apache 2.0"}}"#)
        .with("emojibase-data/en/data.json", LABELS)
        .with(".fetch-x/files/icons.json", "half")
}

#[test]
fn an_icon_set_gives_names_labels_and_keywords() {
    let folder = package();
    assert_eq!(folder.source("").files(), ["noto/icons.json"]);
    let items = folder.items("");
    assert_eq!(
        shown(&items),
        [
            ("noto:red-apple", vec!["red apple", "fruit, red"]),
            ("noto:wide", vec!["wide", "black large square"]),
            ("noto:vertical-traffic-light", vec!["vertical traffic light", "stop"]),
        ]
    );
    let apple = good(&items)[0];
    assert_eq!(apple.extra["set"], "noto");
    assert_eq!(apple.extra["license"], "Apache-2.0");
    assert_eq!(apple.extra["concept"], "redapple");
    assert_eq!(apple.extra["fields"], serde_json::json!(["name", "keywords"]));
    let ImageRef::Svg(drawing) = &good(&items)[1].image else { panic!() };
    assert!(
        drawing.contains(r#"viewBox="-2 0 40 20""#),
        "the set's height stands after its icons: {drawing}"
    );
    let tones = Options { skin_tones: true, ..Options::default() };
    assert_eq!(good(&folder.items_with("", tones)).len(), 4);
}

#[test]
fn an_icon_that_is_wrong_costs_that_icon() {
    let items = package().items("");
    let bad = bad(&items);
    assert_eq!(
        bad.iter().map(|bad| &bad.origin.at).collect::<Vec<_>>(),
        [&At::Key("broken".into()), &At::Key("twice".into())]
    );
    let set =
        large(br#"{"prefix":"p","icons":{"a":{"body":""#, b'x', 5 << 20, br#""},"b":{"body":"<rect/>"}}}"#);
    let items = Folder::new().with("icons.json", set).items("icons.json");
    assert_eq!(good(&items).len(), 1);
    assert!(matches!(*items[0].as_ref().unwrap_err().problem, Problem::TooLong { .. }));
}

#[test]
fn a_set_that_is_broken_is_an_error_alone_and_a_bad_record_among_others() {
    for set in ["", "{", "[]", "{\"prefix\": \"p\"}", &SET[..200], "{\"icons\": []}"] {
        let folder = Folder::new().with("a/icons.json", set);
        let source = Source::open(&folder.path("a/icons.json"), Kind::Iconify).unwrap();
        is_one_line(&source.records().map(drop).unwrap_err().to_string());
        let folder = folder.with("b/icons.json", SET);
        let items = folder.items("");
        assert_eq!(good(&items).len(), 3);
        assert_eq!(bad(&items)[0].origin.at, At::File);
    }
}

#[test]
fn a_record_of_an_icon_is_rendered() {
    let items = package().items("");
    let raster = good(&items)[0].image.load_raster(1 << 20, &Renderer::new(32)).unwrap();
    let size = raster.size(&Limits::default()).unwrap();
    assert_eq!(size, (16, 32), "the longer side has the pixels asked for");
    let pixels = raster.decode(&Limits::default()).unwrap().into_pixels();
    assert_eq!((&pixels[..3], &pixels[pixels.len() - 3..]), (&[255, 0, 0][..], &[255, 0, 0][..]));
}
