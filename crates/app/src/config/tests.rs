use super::*;
use crate::sources::SOURCES;
use std::fmt::Write;

fn faults(text: &str) -> Vec<String> {
    parse(text, std::iter::empty()).unwrap_err()
}

#[test]
fn three_faults_are_told_at_once_with_their_paths() {
    let name = SOURCES[0].spec().name;
    let told = faults(&format!(
        "[serve]\nhttp_prt = 1\n[bus]\nwindow = \"many\"\n[[sources]]\nname = \"{name}\"\nchanels = [\"book\"]\n"
    ));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().any(|f| f == "serve.http_prt: unknown key, did you mean `http_port`?"), "{told:?}");
    assert!(told.iter().any(|f| f == "bus.window: expected integer, found string"), "{told:?}");
    assert!(
        told.iter().any(|f| f.starts_with("sources[0].chanels: unknown key, did you mean `channels`?")),
        "{told:?}"
    );
}

#[test]
fn unknown_sources_channels_and_hosts_are_told_with_what_there_is() {
    let name = SOURCES[0].spec().name;
    let told = faults(&format!(
        "[[sources]]\nname = \"nobody\"\n[[sources]]\nname = \"{name}\"\nchannels = [\"depth\"]\n[sources.hosts]\nx = \"y\"\n"
    ));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("sources[0].name: no source is called `nobody`"));
    assert!(told[1].starts_with("sources[1].channels[0]: `depth` is not offered"));
    assert!(told[2].starts_with("sources[1].hosts.x: unknown endpoint"));
}

#[test]
fn the_environment_lies_over_the_file() {
    let env =
        [("serve__http_port".to_owned(), "7".to_owned()), ("log__filter".to_owned(), "debug".to_owned())];
    let config = parse("[serve]\nhttp_port = 5\n", env.into_iter()).unwrap();
    assert_eq!((config.serve.http_port, config.log.filter.as_str()), (7, "debug"));
}

#[test]
fn a_token_comes_from_the_environment_and_is_shown_nowhere() {
    let (name, token) = (SOURCES[0].spec().name, "QT_0123456789abcdef");
    let env = [(format!("sources__{name}__login_key"), token.to_owned())];
    let config = parse(&format!("[[sources]]\nname = \"{name}\"\n"), env.into_iter()).unwrap();
    let login = config.sources[0].options().login.unwrap();
    assert_eq!(login.key, token);
    for shown in [
        format!("{config:?} {login:?} {:?}", config.sources[0].options()),
        toml::to_string(&config).unwrap(),
        serde_json::to_string(&config).unwrap(),
        faults(&format!("[[sources]]\nlogin_key = {token}\n")).join("\n"),
        faults(&format!("[[sources]]\nlogin_key = [\"{token}\"]\n")).join("\n"),
    ] {
        assert!(!shown.contains(token), "{shown}");
    }
}

/// The doc lines of each field of a `Config` struct, read from its source text.
fn docs(source: &str, name: &str) -> Vec<(String, String)> {
    let start = source.find(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("{name} is there"));
    let mut doc = String::new();
    let mut fields = Vec::new();
    for line in source[start..].lines().skip(1).take_while(|l| *l != "}").map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc = format!("{doc} {}", text.trim()).trim().to_owned();
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':')) {
            fields.push((field.to_owned(), std::mem::take(&mut doc)));
        }
    }
    fields
}

fn section(out: &mut String, head: &str, doc: &str, values: &Table, docs: &[(String, String)]) {
    write!(out, "\n# {doc}\n{head}\n").unwrap();
    for (field, doc) in docs {
        let Some(value) = values.get(field).filter(|v| !v.is_table()) else { continue };
        write!(out, "# {doc}\n{field} = {value}\n").unwrap();
    }
}

fn reference() -> String {
    let here = include_str!("../config.rs");
    let all = Table::try_from(Config::default()).unwrap();
    let table = |name: &str| all[name].as_table().unwrap().clone();
    let mut out = "# Every key with its meaning and its default. Without a file these hold.\n\
                   # An environment variable QINGXI__SECTION__KEY lies over the file: QINGXI__SERVE__HTTP_PORT=8080.\n\
                   # A source of the file is found by its name: QINGXI__SOURCES__<NAME>__LOGIN_KEY=.\n"
        .to_owned();
    let tops: std::collections::HashMap<String, String> = docs(here, "Config").into_iter().collect();
    section(&mut out, "[log]", &tops["log"], &table("log"), &docs(here, "LogConfig"));
    let serve = include_str!("../../../serve/src/config.rs");
    section(&mut out, "[serve]", &tops["serve"], &table("serve"), &docs(serve, "Config"));
    let bus = include_str!("../../../bus/src/lib.rs");
    section(&mut out, "[bus]", &tops["bus"], &table("bus"), &docs(bus, "Config"));
    let engine = include_str!("../../../engine/src/lib.rs");
    section(&mut out, "[engine]", &tops["engine"], &table("engine"), &docs(engine, "Config"));
    section(&mut out, "[run]", &tops["run"], &table("run"), &docs(here, "RunConfig"));
    let tape = docs(include_str!("../../../tape/src/config.rs"), "Config");
    section(&mut out, "[tape]", &tops["tape"], &table("tape"), &tape);
    let store = docs(include_str!("../../../store/src/config.rs"), "Config");
    section(&mut out, "[store]", &tops["store"], &table("store"), &store);
    let cold = docs(include_str!("../../../store/src/cold/config.rs"), "Config");
    let of_store: std::collections::HashMap<String, String> = store.into_iter().collect();
    let values = table("store")["cold"].as_table().unwrap().clone();
    section(&mut out, "[store.cold]", &of_store["cold"], &values, &cold);
    let sql = docs(include_str!("../../../store/src/sql/config.rs"), "Config");
    section(&mut out, "[sql]", &tops["sql"], &table("sql"), &sql);
    let feed = docs(include_str!("../../../feed/src/config.rs"), "SourceConfig");
    for source in all["sources"].as_array().unwrap() {
        section(&mut out, "[[sources]]", &tops["sources"], source.as_table().unwrap(), &feed);
    }
    out
}

#[test]
fn the_reference_names_every_key_and_loads_as_the_defaults() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/reference.toml");
    let now = reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert_eq!(kept, now, "run `UPDATE=1 cargo test -p app reference` and commit config/reference.toml");
    let loaded = parse(&kept, std::iter::empty()).unwrap();
    assert_eq!(Table::try_from(loaded).unwrap(), Table::try_from(Config::default()).unwrap());
}
