//! What is told of companies, of groups of them, and of their day.

use crate::json::{decimal_json, int, key, or_null, string_json, time};
use model::{CapitalFlow, CorporateAction, Decimal, Fundamentals, Minute, Ranking, Sector};

pub(super) fn minute(minute: &Minute, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("start"));
    time(minute.start, out);
    out.extend_from_slice(key!("px"));
    decimal_json(minute.px, out);
    out.extend_from_slice(key!("volume"));
    decimal_json(minute.volume, out);
    out.extend_from_slice(key!("avg_px"));
    or_null(minute.avg_px, out, decimal_json);
}

pub(super) fn capital_flow(flow: &CapitalFlow, out: &mut Vec<u8>) {
    for (name, value) in [
        (key!("main"), flow.main),
        (key!("very_large"), flow.very_large),
        (key!("large"), flow.large),
        (key!("medium"), flow.medium),
        (key!("small"), flow.small),
    ] {
        out.extend_from_slice(name);
        or_null(value, out, decimal_json);
    }
}

pub(super) fn corporate_action(action: &CorporateAction, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("what"));
    string_json(&action.what, out);
    out.extend_from_slice(key!("at"));
    time(action.at, out);
    for (name, value) in [
        (key!("cash"), action.cash),
        (key!("bonus"), action.bonus),
        (key!("rights"), action.rights),
        (key!("rights_px"), action.rights_px),
    ] {
        out.extend_from_slice(name);
        or_null(value, out, decimal_json);
    }
    facts(&action.facts, out);
}

pub(super) fn fundamentals(company: &Fundamentals, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("updated"));
    or_null(company.updated, out, time);
    facts(&company.facts, out);
}

fn facts(facts: &[(&'static str, Decimal)], out: &mut Vec<u8>) {
    out.extend_from_slice(key!("facts"));
    out.push(b'{');
    for (n, (name, value)) in facts.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        string_json(name, out);
        out.push(b':');
        decimal_json(*value, out);
    }
    out.push(b'}');
}

pub(super) fn ranking(list: &Ranking, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("list"));
    string_json(&list.list, out);
    out.extend_from_slice(key!("rows"));
    out.push(b'[');
    for (n, row) in list.rows.iter().enumerate() {
        out.extend_from_slice(if n > 0 { b",{\"name\":" } else { b"{\"name\":" });
        string_json(&row.name, out);
        out.extend_from_slice(key!("title"));
        string_json(&row.title, out);
        out.extend_from_slice(key!("value"));
        or_null(row.value, out, decimal_json);
        out.extend_from_slice(key!("rise"));
        match row.rise {
            Some(rise) => out.extend_from_slice(rise.to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
    out.push(b']');
}

pub(super) fn sector(sector: &Sector, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("of"));
    string_json(&sector.of, out);
    out.extend_from_slice(key!("title"));
    string_json(&sector.title, out);
    out.extend_from_slice(key!("count"));
    int(sector.members.len() as u64, out);
    out.extend_from_slice(key!("members"));
    out.push(b'[');
    for (n, member) in sector.members.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        string_json(member, out);
    }
    out.push(b']');
}
