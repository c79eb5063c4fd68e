//! What the market says of companies, and its files.

use super::answers::{f32_of, page, place, scale};
use crate::codec::corporate::{Change, Changes, Finance, Story, Title};
use crate::codec::files::{BLOCKS_HEAD, FileMeta, MEMBERS_MAX};
use crate::codec::text::{Text, bytes};
use crate::codec::{Answer, Code, Query};
use model::Date;
use source::ashare::{Market, SectorKind};

/// The most bytes of a part of a file.
const FILE_PART: usize = 60_000;
/// The file of the concepts.
const CONCEPTS: &str = "block_gn.dat";

/// The answer to a query; `None` where a server says nothing, or the query is none of these.
pub(super) fn answer(market: &Market, asked: &Query) -> Option<Answer> {
    Some(match asked {
        Query::Actions(codes) => {
            Answer::Actions(codes.iter().filter_map(|code| changes(market, *code)).collect())
        }
        Query::Finance(codes) => {
            Answer::Finance(codes.iter().take(1).filter_map(|code| finance(market, *code)).collect())
        }
        Query::FileMeta(name) => Answer::FileMeta(FileMeta {
            size: u32::try_from(file(market, &name.get())?.len()).ok()?,
            md5: Text::of("00000000000000000000000000000000"),
        }),
        Query::FilePart(start, size, name) => {
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            let all = file(market, std::str::from_utf8(name).ok()?)?;
            let (start, size) = (usize::try_from(*start).ok()?, usize::try_from(*size).ok()?);
            Answer::FilePart(page(all, start, size.min(FILE_PART)))
        }
        Query::Company(code) => {
            let size = u32::try_from(story(market, *code)?.len()).ok()?;
            let (title, file) = (Text::of("最新提示"), Text::of(&format!("{}.txt", code.text())));
            Answer::Company(vec![Title { title, file, start: 0, size }])
        }
        Query::CompanyText(code, _, start, size) => {
            let (start, size) = (usize::try_from(*start).ok()?, usize::try_from(*size).ok()?);
            let text = page(story(market, *code)?, start, size);
            Answer::CompanyText(Story { code: *code, odd: 1, text })
        }
        _ => return None,
    })
}

fn changes(market: &Market, code: Code) -> Option<Changes> {
    let at = place(market, code)?;
    let (_, digits) = scale(market, at);
    let given = market.ex_rights(at).into_iter().map(|ex| Change {
        code,
        date: ex.date.number(),
        category: 1,
        numbers: [
            f32_of(ex.cash, digits),
            f32_of(ex.rights_px.0, digits),
            f32_of(ex.bonus, 0),
            f32_of(ex.rights, 0),
        ],
    });
    Some(Changes { code, all: given.collect() })
}

fn finance(market: &Market, code: Code) -> Option<Finance> {
    let at = place(market, code)?;
    let one = market.listed().get(at)?;
    // In units of 10 000.
    let (float_shares, total) = (f32_of(one.float_shares, 4), f32_of(one.total_shares, 4));
    let figures = std::array::from_fn(|at| if at == 0 { total } else { 0.0 });
    let listed = market.listing_date(at).map_or(20_000_101, Date::number);
    Some(Finance {
        code,
        float_shares,
        updated: market.date().number(),
        listed,
        figures,
        ..Finance::default()
    })
}

/// The file of concepts.
fn file(market: &Market, name: &str) -> Option<Vec<u8>> {
    if name != CONCEPTS {
        return None;
    }
    let concepts: Vec<_> =
        market.sectors().iter().filter(|sector| sector.kind == SectorKind::Concept).collect();
    let mut out = vec![0; BLOCKS_HEAD];
    out.extend_from_slice(&u16::try_from(concepts.len()).ok()?.to_le_bytes());
    for concept in concepts {
        let members: Vec<&str> = concept
            .members
            .iter()
            .filter_map(|at| market.listed().get(*at))
            .map(|one| one.code.digits())
            .take(MEMBERS_MAX)
            .collect();
        out.extend_from_slice(&Text::<9>::of(concept.name).0);
        out.extend_from_slice(&u16::try_from(members.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&2_u16.to_le_bytes());
        for place in 0..MEMBERS_MAX {
            out.extend_from_slice(&Text::<7>::of(members.get(place).copied().unwrap_or_default()).0);
        }
    }
    Some(out)
}

/// What is told of a company, GBK.
fn story(market: &Market, code: Code) -> Option<Vec<u8>> {
    let title = market.title(place(market, code)?)?;
    Some(bytes(&format!("☆最新提示☆ ◇{} {title}◇\r\n", code.text())))
}
