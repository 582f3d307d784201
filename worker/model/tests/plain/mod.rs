//! One ALBEF step computed the long way, in float64, straight from the order of the published program: separate
//! passes for positive pairs, negative pairs and masked texts, complete last layers, vocabulary scores of every token,
//! attention written out. It shares no code with the crate; weights come in by their published names.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::cell::RefCell;
use std::collections::BTreeMap;

use albef_model::forward::{Choices, MicroBatch};
use albef_model::queue::FeatureQueue;
use albef_model::weights::state;
use albef_model::{Albef, ModelConfig};
use tch::{Kind, Reduction, Tensor};

/// A state dict as float64 leaves.
pub(crate) struct Plain {
    pub(crate) config: ModelConfig,
    pub(crate) leaves: BTreeMap<String, Tensor>,
    /// Cross-attention probabilities `[pairs, heads, tokens, image tokens]` of every layer computed so far.
    pub(crate) cross: RefCell<Vec<Tensor>>,
}

/// Losses in the order i2t, t2i, ITM, MLM, distilled MLM, and the twin's features.
pub(crate) struct Step {
    pub(crate) losses: [Tensor; 5],
    pub(crate) total: Tensor,
    pub(crate) image_features: Tensor,
    pub(crate) text_features: Tensor,
}

impl Plain {
    pub(crate) fn of(model: &Albef, queue: &FeatureQueue) -> Self {
        let leaves = state::state_dict(model, queue)
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| {
                let online = model.params().get(&name).is_some();
                (name, tensor.to_kind(Kind::Double).set_requires_grad(online))
            })
            .collect();
        Self { config: model.config().clone(), leaves, cross: RefCell::default() }
    }

    fn at(&self, name: &str) -> &Tensor {
        self.leaves.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// Gradients of `loss` by name; zeros where it has none.
    pub(crate) fn gradients(&self, loss: &Tensor) -> BTreeMap<String, Tensor> {
        let params = || self.leaves.iter().filter(|(_, leaf)| leaf.requires_grad());
        params().for_each(|(_, leaf)| leaf.shallow_clone().zero_grad());
        if loss.requires_grad() {
            loss.backward();
        }
        params()
            .map(|(name, leaf)| {
                let grad = leaf.grad();
                (name.clone(), if grad.defined() { grad.copy() } else { leaf.detach().zeros_like() })
            })
            .collect()
    }

    fn linear(&self, name: &str, x: &Tensor) -> Tensor {
        x.matmul(&self.at(&format!("{name}.weight")).transpose(0, 1)) + self.at(&format!("{name}.bias"))
    }

    fn norm(&self, name: &str, x: &Tensor, eps: f64) -> Tensor {
        let mean = x.mean_dim(-1, true, Kind::Double);
        let variance = (x - &mean).square().mean_dim(-1, true, Kind::Double);
        (x - &mean) / (variance + eps).sqrt() * self.at(&format!("{name}.weight"))
            + self.at(&format!("{name}.bias"))
    }

    /// Multi-head attention of projected `q`, `k`, `v` `[batch, tokens, width]`, and its probabilities.
    fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: i64, mask: Option<&Tensor>) -> (Tensor, Tensor) {
        let (batch, tokens, width) = q.size3().unwrap();
        let split = |x: &Tensor| x.reshape([batch, -1, heads, width / heads]).transpose(1, 2);
        let mut scores = split(q).matmul(&split(k).transpose(-2, -1)) / ((width / heads) as f64).sqrt();
        if let Some(mask) = mask {
            scores += mask;
        }
        let e = (&scores - scores.amax([-1], true)).exp();
        let probabilities = &e / e.sum_dim_intlist([-1].as_slice(), true, Kind::Double);
        (probabilities.matmul(&split(v)).transpose(1, 2).reshape([batch, tokens, width]), probabilities)
    }

    pub(crate) fn image_encoder(&self, m: &str, image: &Tensor) -> Tensor {
        let v = &self.config.vision;
        let name = format!("visual_encoder{m}");
        let (weight, bias) = ("patch_embed.proj.weight", "patch_embed.proj.bias");
        let image = image.to_kind(Kind::Double);
        let patches = image.conv2d(
            self.at(&format!("{name}.{weight}")),
            Some(self.at(&format!("{name}.{bias}"))),
            [v.patch, v.patch],
            [0, 0],
            [1, 1],
            1,
        );
        let patches = patches.flatten(2, 3).transpose(1, 2);
        let cls = self.at(&format!("{name}.cls_token")).expand([image.size()[0], 1, v.width], false);
        let mut x = Tensor::cat(&[cls, patches], 1) + self.at(&format!("{name}.pos_embed"));
        for block in 0..v.depth {
            let b = format!("{name}.blocks.{block}");
            let qkv = self.linear(&format!("{b}.attn.qkv"), &self.norm(&format!("{b}.norm1"), &x, 1e-6));
            let part = |i| qkv.narrow(2, i * v.width, v.width);
            let (context, _) = Self::attention(&part(0), &part(1), &part(2), v.heads, None);
            x += self.linear(&format!("{b}.attn.proj"), &context);
            let hidden = self.linear(&format!("{b}.mlp.fc1"), &self.norm(&format!("{b}.norm2"), &x, 1e-6));
            x += self.linear(&format!("{b}.mlp.fc2"), &hidden.gelu("none"));
        }
        self.norm(&format!("{name}.norm"), &x, 1e-6)
    }

    /// `norm(dense(x) + residual)`.
    fn close(&self, name: &str, x: &Tensor, residual: &Tensor) -> Tensor {
        self.norm(&format!("{name}.LayerNorm"), &(self.linear(&format!("{name}.dense"), x) + residual), 1e-12)
    }

    fn bert_layer(&self, m: &str, layer: i64, x: &Tensor, mask: &Tensor, image: Option<&Tensor>) -> Tensor {
        let name = format!("text_encoder{m}.bert.encoder.layer.{layer}");
        let attend = |kind: &str, x: &Tensor, keys: &Tensor, mask: Option<&Tensor>| {
            let project = |what: &str, x: &Tensor| self.linear(&format!("{name}.{kind}.self.{what}"), x);
            let (q, k, v) = (project("query", x), project("key", keys), project("value", keys));
            let (context, probabilities) = Self::attention(&q, &k, &v, self.config.text.heads, mask);
            if kind == "crossattention" {
                self.cross.borrow_mut().push(probabilities);
            }
            self.close(&format!("{name}.{kind}.output"), &context, x)
        };
        let mut x = attend("attention", x, x, Some(mask));
        if let Some(image) = image {
            x = attend("crossattention", &x, image, None);
        }
        let hidden = self.linear(&format!("{name}.intermediate.dense"), &x).gelu("none");
        self.close(&format!("{name}.output"), &hidden, &x)
    }

    fn mask(attention_mask: &Tensor) -> Tensor {
        let (texts, tokens) = attention_mask.size2().unwrap();
        ((attention_mask.to_kind(Kind::Double) - 1.0) * 10_000.0).view([texts, 1, 1, tokens])
    }

    /// The layers below `fusion_layer`.
    pub(crate) fn text_encoder(&self, m: &str, ids: &Tensor, attention_mask: &Tensor) -> Tensor {
        let t = &self.config.text;
        let name = format!("text_encoder{m}.bert.embeddings");
        let (texts, tokens) = ids.size2().unwrap();
        let words = self.at(&format!("{name}.word_embeddings.weight")).index_select(0, &ids.flatten(0, 1));
        // The padding row of the table has no gradient, also where [PAD] stands for a hidden token.
        let padding = ids.flatten(0, 1).eq(t.pad_id).unsqueeze(1);
        let words = words.detach().where_self(&padding, &words).view([texts, tokens, t.width]);
        let position = self.at(&format!("{name}.position_embeddings.weight")).narrow(0, 0, tokens);
        let kind = self.at(&format!("{name}.token_type_embeddings.weight")).get(0);
        let mut x = self.norm(&format!("{name}.LayerNorm"), &(words + position + kind), 1e-12);
        for layer in 0..t.fusion_layer {
            x = self.bert_layer(m, layer, &x, &Self::mask(attention_mask), None);
        }
        x
    }

    /// The layers from `fusion_layer` on: every token of every text.
    pub(crate) fn fusion(&self, m: &str, text: &Tensor, attention_mask: &Tensor, image: &Tensor) -> Tensor {
        let t = &self.config.text;
        let mut x = text.shallow_clone();
        for layer in t.fusion_layer..t.depth {
            x = self.bert_layer(m, layer, &x, &Self::mask(attention_mask), Some(image));
        }
        x
    }

    /// Vocabulary scores of every token.
    fn vocabulary(&self, m: &str, x: &Tensor) -> Tensor {
        let name = format!("text_encoder{m}.cls.predictions");
        let hidden = self.linear(&format!("{name}.transform.dense"), x).gelu("none");
        let hidden = self.norm(&format!("{name}.transform.LayerNorm"), &hidden, 1e-12);
        let table = self.at(&format!("text_encoder{m}.bert.embeddings.word_embeddings.weight"));
        hidden.matmul(&table.transpose(0, 1)) + self.at(&format!("{name}.bias"))
    }

    pub(crate) fn features(&self, proj: &str, embeds: &Tensor) -> Tensor {
        let x = self.linear(proj, &embeds.select(1, 0));
        &x / x.square().sum_dim_intlist([-1].as_slice(), true, Kind::Double).sqrt()
    }

    /// Match scores of complete pairs, `[pairs, 2]`.
    pub(crate) fn match_scores(&self, text: &Tensor, attention_mask: &Tensor, image: &Tensor) -> Tensor {
        self.linear("itm_head", &self.fusion("", text, attention_mask, image).select(1, 0))
    }

    /// One micro-batch with given choices.
    pub(crate) fn step(&self, batch: &MicroBatch, alpha: f64) -> Step {
        let Choices { negatives, masked } = batch.choices.as_ref().unwrap();
        let (ids, mask) = (&batch.input_ids, &batch.attention_mask);
        let count = ids.size()[0];
        let temp = self.at("temp");

        let image = self.image_encoder("", &batch.image);
        let text = self.text_encoder("", ids, mask);
        let (image_f, text_f) = (self.features("vision_proj", &image), self.features("text_proj", &text));
        let image_m = self.image_encoder("_m", &batch.image);
        let text_m = self.text_encoder("_m", ids, mask);
        let image_fm = self.features("vision_proj_m", &image_m);
        let text_fm = self.features("text_proj_m", &text_m);

        let image_columns = Tensor::cat(&[image_fm.transpose(0, 1), self.at("image_queue").copy()], 1);
        let text_columns = Tensor::cat(&[text_fm.transpose(0, 1), self.at("text_queue").copy()], 1);
        let one_hot = Tensor::eye_m(count, image_columns.size()[1], (Kind::Double, tch::Device::Cpu));
        let direction = |online: &Tensor, twin: &Tensor, columns: &Tensor| {
            let soft = (twin.matmul(columns) / temp).softmax(-1, Kind::Double).detach();
            let target = soft * alpha + &one_hot * (1.0 - alpha);
            let log_p = (online.matmul(columns) / temp).log_softmax(-1, Kind::Double);
            -(log_p * target).sum_dim_intlist([1].as_slice(), false, Kind::Double).mean(Kind::Double)
        };
        let i2t = direction(&image_f, &image_fm, &text_columns);
        let t2i = direction(&text_f, &text_fm, &image_columns);

        let positive = self.match_scores(&text, mask, &image);
        let texts = Tensor::cat(&[&text, &text.index_select(0, &negatives.text_of_image)], 0);
        let masks = Tensor::cat(&[mask, &mask.index_select(0, &negatives.text_of_image)], 0);
        let images = Tensor::cat(&[&image.index_select(0, &negatives.image_of_text), &image], 0);
        let scores = Tensor::cat(&[positive, self.match_scores(&texts, &masks, &images)], 0);
        let (yes, no) = (Tensor::ones([count], (Kind::Int64, tch::Device::Cpu)), 2 * count);
        let labels = Tensor::cat(&[yes, Tensor::zeros([no], (Kind::Int64, tch::Device::Cpu))], 0);
        let itm = scores.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);

        let hidden = &masked.input_ids;
        let logits =
            self.vocabulary("", &self.fusion("", &self.text_encoder("", hidden, mask), mask, &image));
        let logits_m =
            self.vocabulary("_m", &self.fusion("_m", &self.text_encoder("_m", hidden, mask), mask, &image_m));
        let labels = masked.labels.flatten(0, 1);
        let chosen = labels.ne(-100).to_kind(Kind::Double);
        let number = chosen.sum(Kind::Double).double_value(&[]).max(1.0);
        let log_p = logits.flatten(0, 1).log_softmax(-1, Kind::Double);
        let mean = |per_token: Tensor| -(per_token * &chosen).sum(Kind::Double) / number;
        let mlm = mean(log_p.gather(1, &labels.clamp_min(0).unsqueeze(1), false).squeeze_dim(1));
        let soft = logits_m.flatten(0, 1).softmax(-1, Kind::Double).detach();
        let distilled = mean((log_p * soft).sum_dim_intlist([1].as_slice(), false, Kind::Double));

        let total = (&i2t + &t2i) / 2.0 + &itm + &mlm * (1.0 - alpha) + &distilled * alpha;
        Step {
            losses: [i2t, t2i, itm, mlm, distilled],
            total,
            image_features: image_fm,
            text_features: text_fm,
        }
    }
}
