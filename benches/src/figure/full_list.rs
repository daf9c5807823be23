//! A list of 500 rooms beside shorter ones: whether a room more costs what a room costs.

use std::time::Instant;

use anyhow::Result;

use crate::bench::Bench;
use crate::http::HttpClient;
use crate::readers;
use crate::report::{RATIO, Row};
use crate::turns::Turns;
use crate::world::World;

const FIGURE: &str = "full-list";
/// Rooms of the lists, the full one last.
const LENGTHS: [usize; 3] = [20, 200, 500];
/// A room of the full list may take this much longer than one of the list before it.
const BAR: f64 = 1.2;

/// One reader at a time, by turns the whole list of each: pages of 100, timed together.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let mut people = Vec::new();
    for length in LENGTHS {
        let (readers, _) = readers::with_rooms(&mut world, 1, length).await?;
        readers::check_list(server.http, &readers[0], length).await?;
        people.extend(readers);
    }
    let mut client = HttpClient::new(server.http)?;
    let mut turns = Turns::<3>::new();
    for _ in 0..bench.runs() {
        turns
            .run(bench.length(), async |load| {
                let start = Instant::now();
                readers::whole_list(&mut client, &people[load]).await?;
                Ok(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX))
            })
            .await?;
    }
    server.stop().await?;
    let [short, long, full] = LENGTHS;
    let each = |over: f64| over * long as f64 / full as f64;
    let ratios = turns.ratio(2, 1).into_iter().map(each).collect();
    let what = format!("p50 per room, a list of {full} over one of {long}");
    let mut rows = vec![Row::at_most(FIGURE, what, RATIO, ratios, BAR)];
    for (load, length) in [short, long, full].into_iter().enumerate() {
        rows.push(Row::reported(
            FIGURE,
            format!("list of {length} rooms p50"),
            "ms",
            turns.p50(load),
        ));
        rows.push(Row::reported(
            FIGURE,
            format!("list of {length} rooms p99"),
            "ms",
            turns.p99(load),
        ));
    }
    Ok(rows)
}
