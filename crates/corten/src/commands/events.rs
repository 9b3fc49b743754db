//! `corten events`

use super::existing;
use crate::cli::{Events, Global};
use crate::report::{self, CommandError, Reader};
use libcontainer::{Event, EventStream};

/// Prints events, a line each, until the container ends or nobody reads them.
#[inline(never)]
pub fn events(global: &Global, args: &Events) -> Result<(), CommandError> {
    let store = existing(global, &args.id)?;
    if args.stats {
        let event = Event::now(&store, &args.id)?;
        return report::print(&report::line_of_json(&event));
    }
    for event in EventStream::open(&store, &args.id, args.interval)? {
        if report::print_part(&report::line_of_json(&event?))? == Reader::Gone {
            break;
        }
    }
    Ok(())
}
