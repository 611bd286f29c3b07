//! A [`ModelSet`] as bytes: hash, format, box, models; integers and floats little endian.

use bytes::{Buf, BufMut};
use ndarray::Array2;

use super::model::{BoundingBox, Model, ModelSet, Spread, Weight};
use crate::error::{Error, Result};
use crate::splitmix::{GAMMA, mix};

/// What the bytes of a model of this layout begin with, after the hash.
const FORMAT: u32 = u32::from_le_bytes(*b"PKM1");

impl ModelSet {
    /// The models as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 8];
        out.put_u32_le(FORMAT);
        put_count(&mut out, self.columns());
        put_floats(&mut out, &self.bounds().lows);
        put_floats(&mut out, &self.bounds().highs);
        match self.bounds().weight {
            Weight::None => out.put_u32_le(0),
            Weight::Integer => out.put_u32_le(1),
            Weight::Float { largest } => {
                out.put_u32_le(2);
                put_floats(&mut out, &[largest]);
            }
        }
        put_count(&mut out, self.models().len());
        for model in self.models() {
            put_count(&mut out, model.clusters());
            out.put_u32_le(
                u32::from(model.factors.is_some()) | u32::from(model.spread.is_some()) << 1,
            );
            put_floats(&mut out, &model.centroids);
            put_floats(&mut out, model.factors.iter().flatten());
            if let Some(spread) = &model.spread {
                put_floats(&mut out, &spread.means);
                put_floats(&mut out, &spread.variances);
                put_floats(&mut out, &spread.own_factors);
            }
        }
        let hash = hash(&out[8..]);
        out[..8].copy_from_slice(&hash.to_le_bytes());
        out
    }

    /// What plans print in the place of the bytes that [`Self::encode`] wrote: the first half of their
    /// hash, as `kmeans_model(3f2a91c0)`.
    pub fn short_name(bytes: &[u8]) -> String {
        let hash: String = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("kmeans_model({hash})")
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Of bytes that are not a model, are cut short or changed, or hold what [`Self::new`] refuses.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged =
            || Error::data("the model is not readable: expected the bytes of kmeans_model");
        let Some((head, body)) = bytes.split_first_chunk::<8>() else { return Err(damaged()) };
        if u64::from_le_bytes(*head) != hash(body) {
            return Err(damaged());
        }
        let (bounds, models) = Reader(body).model_set().ok_or_else(damaged)?;
        Self::new(bounds, models)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes.chunks(8).fold(bytes.len() as u64, |h, chunk| mix(h.wrapping_add(GAMMA) ^ word(chunk)))
}

fn put_count(out: &mut Vec<u8>, n: usize) {
    out.put_u32_le(u32::try_from(n).expect("counts of a checked model are small"));
}

fn put_floats<'a>(out: &mut Vec<u8>, floats: impl IntoIterator<Item = &'a f64>) {
    floats.into_iter().for_each(|x| out.put_f64_le(*x));
}

/// Reads what [`ModelSet::encode`] wrote; `None` for anything else.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn model_set(mut self) -> Option<(BoundingBox, Vec<Model>)> {
        if self.u32()? != FORMAT {
            return None;
        }
        let columns = self.count()?;
        let (lows, highs) = (self.floats(columns)?, self.floats(columns)?);
        let weight = match self.u32()? {
            0 => Weight::None,
            1 => Weight::Integer,
            2 => Weight::Float { largest: self.floats(1)?[0] },
            _ => return None,
        };
        let count = self.count()?;
        let models = (0..count).map(|_| self.model(columns)).collect::<Option<_>>()?;
        self.0.is_empty().then_some((BoundingBox { lows, highs, weight }, models))
    }

    fn model(&mut self, columns: usize) -> Option<Model> {
        let clusters = self.count()?;
        let parts = self.u32()?;
        let centroids = self.matrix(clusters, columns)?;
        let factors = if parts & 1 != 0 { Some(self.floats(columns)?) } else { None };
        let spread = if parts & 2 != 0 {
            Some(Spread {
                means: self.matrix(clusters, columns)?,
                variances: self.floats(clusters)?,
                own_factors: self.floats(clusters)?,
            })
        } else {
            None
        };
        Some(Model { centroids, factors, spread })
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Option<Array2<f64>> {
        let values = self.floats(rows.checked_mul(columns)?)?;
        Some(Array2::from_shape_vec((rows, columns), values).expect("as many values as it has"))
    }

    fn u32(&mut self) -> Option<u32> {
        self.0.try_get_u32_le().ok()
    }

    fn count(&mut self) -> Option<usize> {
        self.u32().and_then(|n| usize::try_from(n).ok())
    }

    fn floats(&mut self, count: usize) -> Option<Vec<f64>> {
        let enough = count <= self.0.remaining() / 8;
        enough.then(|| (0..count).map(|_| self.0.get_f64_le()).collect())
    }
}
