//! An allocator for many small queues of bytes: each is a chain of chunks of one size.
//!
//! It does not know what the bytes mean. There may be millions of queues that grow by a few bytes
//! at a time; with the system's allocator, each would take more memory than it holds.

/// With its link, a chunk is half a cache line: about six samples.
const CHUNK_BYTES: usize = 28;

/// Chunks taken from the system at a time.
const SLAB_CHUNKS: usize = 2048;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Chunk {
    next: u32,
    bytes: [u8; CHUNK_BYTES],
}

/// A queue; [`Arena::free`] takes its chunks back.
///
/// The last bytes are in the chain itself: chunks are all over the memory, and only about every sixth
/// sample has to touch one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    /// First and last chunk. All chunks of a chain are full.
    head: u32,
    tail: u32,
    last: [u8; CHUNK_BYTES],
    /// Bytes in `last`.
    last_bytes: u8,
    /// Where in `last` the piece is that [`Chain::mark`] told of, and its bytes; 0 if there is none.
    piece_start: u8,
    piece_bytes: u8,
}

impl Chain {
    /// Keeps in mind the end of what was appended, until it goes to a chunk.
    pub(super) fn mark(&mut self, bytes: usize) {
        let start = usize::from(self.last_bytes).checked_sub(bytes);
        // Its start may be in a chunk already.
        (self.piece_start, self.piece_bytes) =
            start.map_or((0, 0), |start| (start as u8, bytes as u8));
    }

    /// What was marked last; nothing if it is in a chunk by now.
    pub(super) fn marked(&self) -> &[u8] {
        let start = usize::from(self.piece_start);
        &self.last[start..start + usize::from(self.piece_bytes)]
    }
}

impl Default for Chain {
    fn default() -> Chain {
        Chain {
            head: NONE,
            tail: NONE,
            last: [0; CHUNK_BYTES],
            last_bytes: 0,
            piece_start: 0,
            piece_bytes: 0,
        }
    }
}

/// All chunks.
#[derive(Debug)]
pub(super) struct Arena {
    slabs: Vec<Box<[Chunk]>>,
    free: u32,
    used: usize,
}

impl Default for Arena {
    fn default() -> Arena {
        Arena {
            slabs: Vec::new(),
            free: NONE,
            used: 0,
        }
    }
}

impl Arena {
    /// Memory taken from the system.
    pub(super) fn bytes(&self) -> usize {
        self.slabs.len() * SLAB_CHUNKS * size_of::<Chunk>()
    }

    /// Whether less than a tenth of the memory taken is free. Not if none was taken: then writing
    /// files would free none.
    pub(super) fn is_nearly_full(&self) -> bool {
        !self.slabs.is_empty() && self.used * 10 >= self.slabs.len() * SLAB_CHUNKS * 9
    }

    /// Appends all of the bytes to a chain. If chunks are missing and `limit_bytes` allows no more
    /// memory, appends none and returns `false`. The first slab is always allowed.
    pub(super) fn append(
        &mut self,
        chain: &mut Chain,
        mut bytes: &[u8],
        limit_bytes: usize,
    ) -> bool {
        let room = CHUNK_BYTES - usize::from(chain.last_bytes);
        let missing = bytes.len().saturating_sub(room).div_ceil(CHUNK_BYTES);
        while self.slabs.len() * SLAB_CHUNKS < self.used + missing {
            if !self.grow(limit_bytes) {
                return false;
            }
        }
        while !bytes.is_empty() {
            if usize::from(chain.last_bytes) == CHUNK_BYTES {
                self.put_away(chain);
            }
            let start = usize::from(chain.last_bytes);
            let count = bytes.len().min(CHUNK_BYTES - start);
            let (now, later) = bytes.split_at(count);
            chain.last[start..start + count].copy_from_slice(now);
            chain.last_bytes += count as u8;
            bytes = later;
        }
        true
    }

    /// Moves a chain's last bytes to a chunk.
    fn put_away(&mut self, chain: &mut Chain) {
        let new = self.take();
        self.chunk(new).bytes = chain.last;
        if chain.tail == NONE {
            chain.head = new;
        } else {
            self.chunk(chain.tail).next = new;
        }
        chain.tail = new;
        chain.last_bytes = 0;
        chain.piece_bytes = 0;
    }

    /// Copies what a chain holds to the end of `out`.
    pub(super) fn read(&self, chain: &Chain, out: &mut Vec<u8>) {
        let mut at = chain.head;
        while at != NONE {
            let chunk = &self.slabs[at as usize / SLAB_CHUNKS][at as usize % SLAB_CHUNKS];
            out.extend_from_slice(&chunk.bytes);
            at = chunk.next;
        }
        out.extend_from_slice(&chain.last[..usize::from(chain.last_bytes)]);
    }

    /// Empties a chain and takes its chunks back.
    pub(super) fn free(&mut self, chain: &mut Chain) {
        let mut at = chain.head;
        while at != NONE {
            let next = self.chunk(at).next;
            self.chunk(at).next = self.free;
            self.free = at;
            self.used -= 1;
            at = next;
        }
        *chain = Chain::default();
        if self.used == 0 {
            *self = Arena::default();
        }
    }

    fn grow(&mut self, limit_bytes: usize) -> bool {
        let more = SLAB_CHUNKS * size_of::<Chunk>();
        let first = (self.slabs.len() * SLAB_CHUNKS) as u32;
        let too_many = u64::from(first) + SLAB_CHUNKS as u64 >= u64::from(NONE);
        if too_many || (!self.slabs.is_empty() && self.bytes() + more > limit_bytes) {
            return false;
        }
        let mut slab = vec![
            Chunk {
                next: NONE,
                bytes: [0; CHUNK_BYTES],
            };
            SLAB_CHUNKS
        ];
        for (number, chunk) in (first..).zip(&mut slab) {
            chunk.next = number + 1;
        }
        slab[SLAB_CHUNKS - 1].next = self.free;
        self.free = first;
        self.slabs.push(slab.into());
        true
    }

    fn take(&mut self) -> u32 {
        let taken = self.free;
        let chunk = self.chunk(taken);
        let next = std::mem::replace(&mut chunk.next, NONE);
        self.free = next;
        self.used += 1;
        taken
    }

    fn chunk(&mut self, at: u32) -> &mut Chunk {
        &mut self.slabs[at as usize / SLAB_CHUNKS][at as usize % SLAB_CHUNKS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: usize = 1 << 30;

    fn read(arena: &Arena, chain: &Chain) -> Vec<u8> {
        let mut out = Vec::new();
        arena.read(chain, &mut out);
        out
    }

    #[test]
    fn chains_grow_side_by_side_and_keep_apart() {
        let mut arena = Arena::default();
        let mut chains = vec![(Chain::default(), Vec::new()); 50];
        for round in 0..200_usize {
            for (at, (chain, copy)) in chains.iter_mut().enumerate() {
                let bytes = vec![(round * 7 + at) as u8; (round + at) % 9];
                assert!(arena.append(chain, &bytes, ROOMY));
                copy.extend(bytes);
            }
        }
        for (chain, copy) in &mut chains {
            assert_eq!(read(&arena, chain), *copy);
            arena.free(chain);
            assert!(read(&arena, chain).is_empty(), "nothing is left of it");
        }
        assert_eq!(arena.bytes(), 0, "what is empty gives all of it back");
    }

    #[test]
    fn what_was_marked_is_known_until_it_goes_to_a_chunk() {
        let mut arena = Arena::default();
        let mut chain = Chain::default();
        assert!(chain.marked().is_empty());
        for first in 0..CHUNK_BYTES as u8 {
            assert!(arena.append(&mut chain, &[first, 1, 2, 3], ROOMY));
            chain.mark(3);
            let expected: &[u8] = if usize::from(chain.last_bytes) < 3 {
                &[]
            } else {
                &[1, 2, 3]
            };
            assert_eq!(chain.marked(), expected, "{first}");
            assert!(arena.append(&mut chain, &[first; 2], ROOMY));
            let is_in_last = usize::from(chain.last_bytes) >= 5;
            assert_eq!(chain.marked() == [1, 2, 3], is_in_last, "{first}");
        }
    }

    #[test]
    fn chunks_are_used_again_and_the_limit_holds() {
        let mut arena = Arena::default();
        let limit = SLAB_CHUNKS * size_of::<Chunk>();
        let mut chains = vec![Chain::default(); SLAB_CHUNKS];
        for _ in 0..3 {
            for chain in &mut chains {
                assert!(arena.append(chain, &[1; CHUNK_BYTES + 1], limit));
            }
            let mut more = Chain::default();
            assert!(!arena.append(&mut more, &[1; CHUNK_BYTES + 1], limit));
            assert!(read(&arena, &more).is_empty(), "all or nothing");
            assert_eq!(arena.bytes(), limit);
            for chain in &mut chains {
                arena.free(chain);
            }
        }
    }
}
