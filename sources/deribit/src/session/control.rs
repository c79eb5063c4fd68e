//! Answers and heartbeats: what a session hears besides data.

use super::lanes::Standing;
use super::{DeribitSession, TIMER_LOGIN};
use crate::parse::{Head, Result};
use crate::subscribe::{Paces, request};
use model::Ts;
use serde_json::Value;
use source::{Action, Cursor, Login, Malformed, What};

/// The request for heartbeats.
const HEARTBEAT: u64 = 1;
/// The login.
const LOGIN: u64 = 2;
/// The sign of life.
const TEST: u64 = 3;

/// How often the venue asks for a sign of life, in seconds; 10 is the least that it takes.
const HEARTBEAT_S: u32 = 10;
/// How long the venue may take to answer a login.
const LOGIN_MS: u64 = 10_000;
/// How long a login may take to be made anew before the venue ends it, of 10 parts of its time.
const REFRESH_OF_10: u64 = 8;
/// The longest that we rely on one login.
const LOGIN_MAX_MS: u64 = 12 * 3_600_000;

/// How the login stands.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Standpoint {
    /// There is none to be made.
    None,
    /// Asked for; what is wanted waits for the answer.
    Asked,
    /// Made, with what to make it anew.
    In(String),
    /// Refused: nothing is raw on this connection.
    Refused,
}

impl Standpoint {
    /// Whether what is wanted can be asked for.
    pub fn settled(&self) -> bool {
        *self != Self::Asked
    }
}

impl DeribitSession {
    /// Asks for heartbeats, and logs in where there is a login.
    pub(super) fn greet(&mut self, now: Ts, out: &mut Vec<Action>) {
        let params = format!(r#"{{"interval":{HEARTBEAT_S}}}"#);
        out.push(Action::Send(request(HEARTBEAT, "public/set_heartbeat", &params)));
        if let Some(login) = &self.lanes.options.login {
            out.push(Action::Send(credentials(login)));
            out.push(Action::WakeAt { timer: TIMER_LOGIN, at: now.plus_ms(LOGIN_MS) });
            self.login = Standpoint::Asked;
        } else {
            self.login = Standpoint::None;
            self.subscribe_all(now);
        }
    }

    /// The time of the login has come: it was not answered, or is to be made anew.
    pub(super) fn login_due(&mut self, now: Ts, out: &mut Vec<Action>) {
        match &self.login {
            Standpoint::Asked => self.without_login(now),
            Standpoint::In(token) => {
                let token = Value::from(token.as_str());
                let params = format!(r#"{{"grant_type":"refresh_token","refresh_token":{token}}}"#);
                out.push(Action::Send(request(LOGIN, "public/auth", &params)));
            }
            Standpoint::None | Standpoint::Refused => {}
        }
    }

    /// Goes on with what needs no login.
    fn without_login(&mut self, now: Ts) {
        self.login = Standpoint::Refused;
        self.lanes.paces = Paces::of(&self.lanes.options, false);
        self.subscribe_all(now);
    }

    /// A sign of life.
    pub(super) fn alive(out: &mut Vec<Action>) {
        out.push(Action::Send(request(TEST, "public/test", "{}")));
    }

    /// A frame that is no push.
    pub(super) fn control(&mut self, head: &Head<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        match (head.method, head.beat) {
            (Some(b"heartbeat"), Some(b"test_request")) => {
                out.push(Action::Control("test_request"));
                if !self.reading {
                    Self::alive(out);
                }
                return Ok(());
            }
            (Some(b"heartbeat"), _) => {
                out.push(Action::Control("heartbeat"));
                return Ok(());
            }
            (Some(method), _) if !head.answer() => {
                self.notes.unknown(b"method", method, out);
                return Ok(());
            }
            _ => {}
        }
        match (head.id, head.error, head.result) {
            (Some(LOGIN), error, result) if self.login != Standpoint::None => {
                out.push(Action::Control("login"));
                self.logged_in(if error.is_some() { None } else { result }, now, out);
                Ok(())
            }
            (id, Some(error), _) => {
                out.push(Action::Control("error"));
                self.complained(id, error, now, out)
            }
            (Some(id), None, Some(result)) if self.lanes.subs.iter().any(|s| s.request == id) => {
                out.push(Action::Control("subscribe"));
                self.answered(id, result, now, out)
            }
            _ => {
                out.push(Action::Control("answer"));
                Ok(())
            }
        }
    }

    /// `{"access_token":"…","expires_in":900,"refresh_token":"…","scope":"connection","token_type":"bearer"}`
    fn logged_in(&mut self, result: Option<&[u8]>, now: Ts, out: &mut Vec<Action>) {
        let answer: Option<Value> = result.and_then(|r| serde_json::from_slice(r).ok());
        let text = |key: &str| Some(answer.as_ref()?.get(key)?.as_str()?.to_owned());
        let first = self.login == Standpoint::Asked;
        let Some(token) = text("access_token").and_then(|_| text("refresh_token")) else {
            match &self.lanes.options.login {
                // What was made anew in vain is made from the start.
                Some(login) if matches!(self.login, Standpoint::In(_)) => {
                    out.push(Action::Send(credentials(login)));
                    out.push(Action::WakeAt { timer: TIMER_LOGIN, at: now.plus_ms(LOGIN_MAX_MS) });
                    self.login = Standpoint::Refused;
                }
                _ if first => self.without_login(now),
                _ => {}
            }
            return;
        };
        let lasts = answer.as_ref().and_then(|a| a.get("expires_in")).and_then(Value::as_u64).unwrap_or(900);
        let lasts_ms = lasts.saturating_mul(1_000).min(LOGIN_MAX_MS);
        out.push(Action::WakeAt { timer: TIMER_LOGIN, at: now.plus_ms(lasts_ms * REFRESH_OF_10 / 10) });
        self.login = Standpoint::In(token);
        if first {
            self.subscribe_all(now);
        }
    }

    /// `["trades.BTC-PERPETUAL.100ms"]`: those that the venue took, in any order; it leaves out the others.
    fn answered(&mut self, id: u64, result: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let mut taken: Vec<&[u8]> = Vec::new();
        let mut c = Cursor::new(result);
        c.array(|c| {
            taken.push(c.str()?);
            Ok(())
        })?;
        taken.sort_unstable();
        let paces = self.lanes.paces;
        for place in self.asked_in(id) {
            let Some(sub) = self.lanes.subs.get(place) else { continue };
            if taken.binary_search(&sub.topic.name(&paces).as_bytes()).is_ok() {
                self.acked(place, now, out);
            } else {
                self.refused(place, "left out of the answer: the venue has no such channel", now, out);
            }
        }
        Ok(())
    }

    /// The subscriptions that wait for the answer to a request.
    fn asked_in(&self, id: u64) -> Vec<usize> {
        let subs = self.lanes.subs.iter().enumerate();
        subs.filter(|(_, s)| s.request == id && s.standing == Standing::Asked).map(|(n, _)| n).collect()
    }

    /// `{"code":13778,"message":"raw_subscriptions_not_available_for_unauthorized"}`
    fn complained(&mut self, id: Option<u64>, error: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let malformed = |what| Malformed { at: 0, what };
        let error: Value =
            serde_json::from_slice(error).map_err(|_| malformed(What::Expected("an error")))?;
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let words = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let places = id.map(|id| self.asked_in(id)).unwrap_or_default();
        match code {
            // The whole request failed because one channel of it is raw.
            13778 if self.lanes.paces != Paces::of(&self.lanes.options, false) => {
                self.lanes.paces = Paces::of(&self.lanes.options, false);
                self.again(&places, now);
            }
            10028 => {
                self.lanes.hold(now);
                self.again(&places, now);
            }
            _ => {
                let words = format!("{code}: {words}");
                for place in places {
                    self.refused(place, &words, now, out);
                }
            }
        }
        Ok(())
    }

    /// These are asked for again as soon as may be.
    fn again(&mut self, places: &[usize], now: Ts) {
        for place in places {
            if let Some(sub) = self.lanes.subs.get_mut(*place) {
                (sub.due, sub.known) = (Some(now), false);
            }
        }
        self.lanes.pending = true;
    }
}

fn credentials(login: &Login) -> Vec<u8> {
    let (key, secret) = (Value::from(login.key.as_str()), Value::from(login.secret.as_str()));
    let params =
        format!(r#"{{"grant_type":"client_credentials","client_id":{key},"client_secret":{secret}}}"#);
    request(LOGIN, "public/auth", &params)
}
