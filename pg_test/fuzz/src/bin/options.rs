//! The options of a run, as JSON text.
#![no_main]

use fuzz::core::options::Options;
use fuzz::within;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match within(64, text.len(), || Options::parse(text)) {
        Err(error) => assert!(!error.message.is_empty() && !error.message.contains(" at line "), "{error}"),
        Ok(options) => {
            assert!(
                (1..=1000).contains(&options.jobs) && options.connect_timeout != Some(0) && options.split_bytes >= 0
            );
            let stored = serde_json::to_value(&options).expect("options are JSON");
            let again = Options::parse(&stored.to_string()).expect("what was parsed is parsed again");
            assert_eq!(serde_json::to_value(&again).expect("options are JSON"), stored);
        }
    }
});
