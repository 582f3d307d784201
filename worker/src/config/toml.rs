//! TOML text to a tree of exact types, and a parser's message as one line.

/// The same tree with the types that the file has: the library itself would read `"2"`, `2.4` and `true` as numbers.
///
/// # Errors
/// One line, if a number is none: JSON has no word for it, and it would be read as absent.
pub(super) fn exact(value: config::Value) -> Result<serde_json::Value, String> {
    exact_at("", value)
}

fn exact_at(path: &str, value: config::Value) -> Result<serde_json::Value, String> {
    use config::ValueKind;
    Ok(match value.kind {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(value) => value.into(),
        ValueKind::U64(value) => value.into(),
        // No field holds more than 64 bits: as a number with a fraction it is refused where it stands.
        ValueKind::I128(value) => (value as f64).into(),
        ValueKind::U128(value) => (value as f64).into(),
        ValueKind::Float(value) if !value.is_finite() => {
            return Err(format!("{path}: {value} is not a number that any key takes; give a finite one"));
        }
        ValueKind::Float(value) => value.into(),
        ValueKind::String(value) => value.into(),
        ValueKind::Table(table) => {
            let entry = |(key, value): (String, _)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                Ok((key, exact_at(&path, value)?))
            };
            table.into_iter().map(entry).collect::<Result<_, String>>()?
        }
        ValueKind::Array(array) => {
            array.into_iter().map(|value| exact_at(path, value)).collect::<Result<_, _>>()?
        }
    })
}

/// One line of a parser's message, with the nearest valid name where a key is unknown.
pub(super) fn one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    if !line.contains("unknown field") && !line.contains("unknown variant") {
        return line;
    }
    let Some((unknown, known)) = quoted.split_first() else { return line };
    let nearest = known.iter().min_by_key(|name| strsim::damerau_levenshtein(unknown, name));
    match nearest {
        Some(name) => format!("{line}; did you mean `{name}`?"),
        None => line,
    }
}

/// `key.path=value` as a line of TOML; a value that TOML cannot read is taken as text.
pub(super) fn assignment(setting: &str) -> Result<String, String> {
    let Some((key, value)) = setting.split_once('=') else {
        return Err(format!("--set {setting}: write KEY=VALUE, for example schedule.steps=1000"));
    };
    let (key, value) = (key.trim(), value.trim());
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if !key.split('.').all(plain) {
        return Err(format!("--set {setting}: {key:?} is not the path of a key, for example schedule.steps"));
    }
    let line = format!("{key} = {value}");
    let readable = config::Config::builder()
        .add_source(config::File::from_str(&line, config::FileFormat::Toml))
        .build()
        .is_ok();
    Ok(if readable && !value.contains('\n') { line } else { format!("{key} = {value:?}") })
}
