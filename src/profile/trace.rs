//! One run as a trace for Perfetto and Chrome: what the host did and when each launch ran, on one time axis.

use serde_json::{Value, json};

use super::Profile;
use crate::exec::TimingMethod;

const PROCESS: u32 = 1;
const HOST: u32 = 1;
const DEVICE: u32 = 2;

impl Profile {
    /// The run of the timeline in Chrome's trace event format, of which Perfetto reads every version; none where launches
    /// were not timed.
    pub fn to_trace(&self) -> Option<Value> {
        let timeline = self.timeline.as_ref()?;
        let host = timeline.run.host;
        let times: Vec<[u64; 2]> = timeline.run.launches.iter().filter_map(|time| *time).collect();
        let mut events = vec![
            name("process_name", HOST, &format!("{} on {}", self.network, self.device.name)),
            name("thread_name", HOST, "host"),
            name("thread_name", DEVICE, "device"),
        ];
        let steps = [
            ("encode", host.begin, host.encoded),
            ("submit", host.encoded, host.submitted),
            ("wait for the result", host.submitted, host.end),
        ];
        let since = |moment: u64| moment.saturating_sub(host.begin) as f64;
        for (step, from, to) in steps {
            events.push(slice(step, "host", HOST, since(from), since(to), json!({})));
        }
        // Without a link the launches are set in the middle of the time that the host waited for them.
        let first = times.iter().map(|time| time[0]).min()?;
        let last = times.iter().map(|time| time[1]).max()?;
        let middle = (since(host.submitted) + since(host.end) - (last - first) as f64) / 2.0;
        let to_host = |moment: u64| match timeline.link {
            Some(link) => link.to_host(moment) - host.begin as f64,
            None => middle + (moment - first) as f64,
        };
        let clocks = match timeline.link {
            _ if self.method.timing == TimingMethod::HostClock => "one: the launches ran on the host".into(),
            Some(link) => {
                let uncertainty = link.uncertainty();
                format!(
                    "linked by the run's own begin and end and a timestamp in an empty submit right after it, to ± {uncertainty} ns"
                )
            }
            None => "not linked: the launches are set in the middle of the host's wait".into(),
        };
        for (dispatch, [begin, end]) in self.dispatches.iter().zip(&times) {
            let details = json!({
                "index": dispatch.index, "layer": dispatch.layer, "block": dispatch.block, "part": dispatch.part,
                "sizes": dispatch.shape, "variant": dispatch.variant, "workgroups": dispatch.workgroups,
                "flops": dispatch.flops, "bytes_read": dispatch.bytes_read, "bytes_written": dispatch.bytes_written,
                "roof_share": dispatch.roof_share,
            });
            let text = format!("{} {}", dispatch.layer, dispatch.name());
            events.push(slice(&text, &dispatch.kernel, DEVICE, to_host(*begin), to_host(*end), details));
        }
        Some(json!({
            "displayTimeUnit": "ns",
            "traceEvents": events,
            "otherData": {
                "program": self.program, "network": self.network, "device": self.device, "method": self.method,
                "clocks": clocks,
            },
        }))
    }
}

fn name(kind: &str, thread: u32, text: &str) -> Value {
    json!({ "ph": "M", "pid": PROCESS, "tid": thread, "name": kind, "args": { "name": text } })
}

/// A slice of a thread; the format counts in microseconds.
fn slice(text: &str, category: &str, thread: u32, begin: f64, end: f64, details: Value) -> Value {
    let (ts, dur) = (begin / 1e3, (end - begin) / 1e3);
    json!({
        "ph": "X", "pid": PROCESS, "tid": thread, "name": text, "cat": category, "ts": ts, "dur": dur, "args": details,
    })
}
