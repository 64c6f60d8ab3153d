//! Tests of chunks: whatever is compressed inflates to itself, and whatever is walked never panics.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder};
use proptest::prelude::*;

use super::walk::{Last, Walker};
use super::*;

fn inflate(stream: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    DeflateDecoder::new(stream).read_to_end(&mut out)?;
    Ok(out)
}

/// Data that makes libdeflate write blocks of all types, alone and after one another.
fn samples() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut noise = |size: usize| -> Vec<u8> {
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(size)
        .collect()
    };
    let text: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| format!("{} ", n * n).into_bytes())
        .collect();
    let skewed: Vec<u8> = noise(400_000)
        .into_iter()
        .map(|byte| 1_u8.checked_shl(byte.trailing_ones()).unwrap_or(byte))
        .collect();
    vec![
        Vec::new(),
        b"a".to_vec(),
        b"abcabcabcabcabcabcabcabcabcabc, fixed codes do".to_vec(),
        vec![0; 1 << 20],
        noise(100),
        noise(70_000),
        noise(1 << 20),
        text[..1000].to_vec(),
        text[..400_000].to_vec(),
        [&text[..300_000], &noise(300_000)[..]].concat(),
        [&noise(300_000)[..], &text[..300_000]].concat(),
        [&text[..200_000], &vec![7; 300_000][..], &noise(40_000)].concat(),
        skewed,
    ]
}

#[test]
fn chunks_joined_in_any_number_inflate_to_the_data() {
    for level in [0, 1, 5, 6, 9] {
        let mut encoder = Encoder::with_level(level);
        let (mut stream, mut wanted) = (Vec::new(), Vec::new());
        for data in samples() {
            let chunk = encoder.compress_chunk(&data).expect("a chunk");
            assert_eq!(chunk.len, data.len() as u64);
            assert_eq!(chunk.bytes[chunk.bytes.len() - 4..], [0, 0, 0xff, 0xff]);
            let alone = [&chunk.bytes[..], &[3, 0]].concat();
            assert_eq!(inflate(&alone).expect("deflate"), data);
            stream.extend_from_slice(&chunk.bytes);
            wanted.extend_from_slice(&data);
        }
        stream.extend_from_slice(&[3, 0]);
        assert!(
            inflate(&stream).expect("deflate") == wanted,
            "level {level}"
        );
    }
}

#[test]
fn a_member_with_its_trailer_passes_for_gzip() {
    let mut encoder = Encoder::new(Codec::GzipV1);
    let (mut member, mut wanted) = (GZIP_HEADER.to_vec(), Vec::new());
    let mut trailer = Trailer::default();
    for data in samples() {
        let chunk = encoder.compress_chunk(&data).expect("a chunk");
        trailer.add(&chunk);
        member.extend_from_slice(&chunk.bytes);
        wanted.extend_from_slice(&data);
    }
    member.extend_from_slice(&trailer.bytes());
    let mut found = Vec::new();
    GzDecoder::new(&member[..])
        .read_to_end(&mut found)
        .expect("gzip, with CRC and size");
    assert!(found == wanted);
}

#[test]
fn a_chunk_does_not_depend_on_those_before_it() {
    let mut used = Encoder::new(Codec::GzipV1);
    for data in samples().iter().chain(samples().iter().rev()) {
        let fresh = Encoder::new(Codec::GzipV1).compress_chunk(data);
        assert_eq!(used.compress_chunk(data), fresh);
    }
}

#[test]
fn streams_of_another_compressor_are_walked_too() {
    for data in samples() {
        for level in [0, 1, 6, 9] {
            let mut stream = Vec::new();
            flate2::read::DeflateEncoder::new(&data[..], flate2::Compression::new(level))
                .read_to_end(&mut stream)
                .expect("deflate");
            let last = Walker::new().last_block(&stream).expect("a valid stream");
            assert_eq!(last.end.div_ceil(8), stream.len());
            assert_eq!(stream[last.header / 8] >> (last.header % 8) & 1, 1);
        }
    }
}

#[test]
fn hand_made_streams_end_where_they_end() {
    for (stream, wanted) in [
        // A fixed block with nothing in it.
        (&[3, 0][..], Ok(Last { header: 0, end: 10 })),
        // An empty stored block, then that.
        (
            &[0, 0, 0, 0xff, 0xff, 3, 0],
            Ok(Last {
                header: 40,
                end: 50,
            }),
        ),
        (&[], Err(WalkError::Truncated)),
        (&[3], Err(WalkError::Truncated)),
        (&[7], Err(WalkError::BlockType)),
        (&[1, 5, 0, 0xfa, 0xff, 0], Err(WalkError::Truncated)),
        (
            &[1, 5, 0, 5, 0],
            Err(WalkError::StoredLength {
                len: 5,
                complement: 5,
            }),
        ),
        (&[0xff, 0xff], Err(WalkError::BlockType)),
        // HLIT 31: more literals than there are.
        (&[0xfd, 0xff, 0xff], Err(WalkError::CodeLengths)),
    ] {
        assert_eq!(Walker::new().last_block(stream), wanted, "{stream:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_walker_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Walker::new().last_block(&bytes);
    }

    #[test]
    fn damage_never_makes_the_walker_panic_or_run_past_the_end(
        which in 0..13_usize,
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let data = samples().swap_remove(which);
        let mut stream = Vec::new();
        flate2::read::DeflateEncoder::new(&data[..data.len().min(5000)], flate2::Compression::new(6))
            .read_to_end(&mut stream)
            .expect("deflate");
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        stream.truncate(cut.index(stream.len()) + 1);
        if let Ok(last) = Walker::new().last_block(&stream) {
            prop_assert!(last.end <= stream.len() * 8);
        }
    }
}
