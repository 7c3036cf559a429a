"""What is recorded: for each case its models, its inputs and its calls, as cases.json says them.

A model is what config.json of such a checkpoint holds. A call says what is asked of
it; everything that it leaves out has zeta's default:

  kind            forward, loss, generate, gradient or tables
  model           which one, where a case has several: their weights are w/MODEL.NAME
  numerics        zeta, defined, or one of them for each field
  change          arguments of attn_layers that are other than the model's
  x, from, to     the input that holds the ids, and which columns of it; rows: how many sequences
  mask, context_mask    inputs that hold lengths: what lies beyond is masked
  image, context, pos, sum_embeds, prepend_embeds    inputs
  mems            the call of this case whose memories are handed in
  steps, eos, pad_value, ignore_index    of generate and of loss
  outputs         name in the archive: what it is. hidden, attention and mems are several, 00, 01, ...

Tier 1 is what the systems' documents name, 2 what is beside it, 3 what is refused by name when a config
is read. 0 is recorded for comparison and no output of this project: gradients, and faults of zeta's.
"""
WIDTH, VOCABULARY, LONGEST = 24, 29, 24  # no two sizes alike where it can be helped
SMALL = dict(dim=WIDTH, depth=2, heads=3, attn_dim_head=10, ff_mult=2)
TINY = {**SMALL, "depth": 1}
TURNING = dict(dim=WIDTH, depth=2, heads=2, attn_dim_head=36, ff_mult=2)  # 32 of 36 channels
ONE_TURNING = {**TURNING, "depth": 1}

IDS = {"x": (1, "ids", (2, 11))}  # seed, what it is, shape
LOOKED_AT = {"logits": "logits", "embeddings": "embeddings", "hidden": "hidden", "attention": "attention"}
SEGMENTS = ({"to": 5, "outputs": {"first": "logits"}},
            {"from": 5, "mems": 0, "outputs": {"second": "logits", "mems": "mems"}})
CASES = {}


def case(name, proves, models, inputs, *calls):
    models = {"": models} if models and "architectures" in models else models
    CASES[name] = {"proves": proves, "models": models, "inputs": inputs,
                   "calls": [call if "outputs" in call else {"outputs": call} for call in calls]}


def transformer(layers=SMALL, outer={}, kind="Decoder", **more):
    return {"architectures": ["ZetaTransformer"], "num_tokens": VOCABULARY, "max_seq_len": LONGEST, **outer,
            "attn_layers": {"type": kind, **layers, **more}}


def each(**models):
    """One archive for variants: weights and outputs under the variant's name."""
    calls = [{"model": name, "outputs": {f"{name}/logits": "logits"}} for name in models]
    return {name: transformer(**{"layers": TINY, **m}) for name, m in models.items()}, IDS, *calls


def palme(**more):
    return {"architectures": ["PalmE"], "image_size": 24, "patch_size": 8, "encoder_dim": WIDTH,
            "encoder_depth": 1, "num_tokens": VOCABULARY, "max_seq_len": LONGEST, "decoder_dim": WIDTH,
            "decoder_heads": 2, **more}


WITHOUT_ROWS = {"use_abs_pos_emb": False}
LOGITS = {"logits": "logits"}

case("decoder_default", "learned positions, LayerNorm with bias before each branch, exact GELU, logits with bias",
     transformer(), IDS, {**LOOKED_AT, "z_loss": "z_loss"})
case("encoder_masked", "both directions, padding behind 11 and 6 words, emb_dim and logits_dim of their own, "
     "a norm behind the embedding, positions given",
     transformer(kind="Encoder", outer={"emb_dim": 14, "logits_dim": 7, "post_emb_norm": True}),
     {**IDS, "lengths": [11, 6], "pos": list(range(3, 14))},
     {"mask": "lengths", "pos": "pos", "outputs": LOOKED_AT},
     {"pos": "pos", "outputs": {"unmasked": "logits"}})

case("embed_l2norm", "unit rows of words and of positions",
     transformer(TINY, {"l2norm_embed": True}), IDS, LOGITS)
case("embed_sinusoidal", "sines, then cosines, times one learned number",
     transformer(TINY, {"scaled_sinu_pos_emb": True, "emb_dim": 10}), IDS, LOGITS)
case("embed_tied", "the table as head, without bias or factor; positions as rows, rows added, rows in front",
     transformer(TINY, {"tie_embedding": True}),
     {**IDS, "pos": (2, "normal", (11, WIDTH)), "sum": (2, "normal", (2, 11, WIDTH)),
      "prepend": (2, "normal", (2, 4, WIDTH))},
     LOGITS, {"pos": "pos", "outputs": {"external_pos": "logits"}},
     {"sum_embeds": "sum", "outputs": {"summed": "logits"}},
     {"prepend_embeds": "prepend", "outputs": {"prepended": "logits"}})
case("embed_frac_gradient", "the same numbers, a tenth of the gradient for the embedding",
     transformer(TINY, {"emb_frac_gradient": 0.1}), IDS, LOGITS,
     {"kind": "gradient", "outputs": {"token_gradient": "gradient", "token_gradient_whole": "whole_gradient"}})

case("memory_tokens_encoder", "rows in front of all others, never masked, cut off again, without positions",
     transformer(TINY, {"num_memory_tokens": 3}, "Encoder"), {**IDS, "lengths": [11, 6]},
     {"mask": "lengths", "outputs": LOGITS})
case("memory_tokens_alibi", "memory tokens count as positions for ALiBi, and a causal decoder sees all of them",
     transformer(SMALL, {"num_memory_tokens": 3, **WITHOUT_ROWS}, alibi_pos_bias=True), IDS, LOOKED_AT)

case("alibi", "slopes of 3 heads: 1/16, 1/256 and, of the next power of two, 1/4",
     transformer(TINY, WITHOUT_ROWS, alibi_pos_bias=True), IDS, LOOKED_AT)
case("rotary", "32 of 36 channels, halves paired, values turned too; defined: values left alone",
     transformer(ONE_TURNING, rotary_pos_emb=True), IDS,
     LOOKED_AT, {"numerics": "defined", "outputs": {"defined": "logits"}})
case("rotary_interpolated", "positions divided by 2, a base rescaled by 3, 34 channels",
     transformer(ONE_TURNING, rotary_pos_emb=True, rotary_interpolation_factor=2.0,
                 rotary_base_rescale_factor=3.0, rotary_emb_dim=34), IDS, LOGITS)
case("xpos", "the centre is half the length, and values are scaled: logits change with what follows them",
     transformer(TURNING, rotary_xpos=True), IDS,
     LOOKED_AT, {"to": 6, "outputs": {"first6": "logits"}},
     {"numerics": "defined", "outputs": {"defined": "logits"}},
     {"numerics": "defined", "to": 6, "outputs": {"defined_first6": "logits"}})
case("rel_pos_causal", "T5's buckets, causal, times sqrt(dim_head)",
     transformer(TINY, rel_pos_bias=True, rel_pos_num_buckets=6, rel_pos_max_distance=9), IDS, LOOKED_AT)
case("rel_pos_both_ways", "T5's buckets, half of them for what comes after",
     transformer(TINY, {}, "Encoder", rel_pos_bias=True, rel_pos_num_buckets=8, rel_pos_max_distance=9),
     IDS, LOOKED_AT)
case("dynamic_pos", "a small network makes the bias from the logarithm of the distance",
     transformer(TINY, WITHOUT_ROWS, dynamic_pos_bias=True, dynamic_pos_bias_log_distance=True,
                 dynamic_pos_bias_norm=True), IDS, LOGITS)

case("qk_norm", "unit groups of 5 channels, scale 10, learned scales; with flash, the scale 1 / (10 dim_head)",
     transformer(TINY, attn_qk_norm=True, attn_qk_norm_groups=2, attn_qk_norm_dim_scale=True), IDS,
     LOOKED_AT, {"change": {"attn_flash": True}, "outputs": {"flash_as_zeta": "logits"}})
case("kv_heads", "4 query heads on 2 key heads: head n reads n mod 2, not n / 2",
     transformer({**TINY, "heads": 4}, attn_kv_heads=2), IDS, LOOKED_AT)
case("one_kv_head", "one key and value head for all", transformer(TINY, attn_one_kv_head=True), IDS, LOGITS)
case("cross_attention", "a, c, f in each layer; contexts of 5 and 3 rows; padding's rows come out as zero",
     transformer(SMALL, WITHOUT_ROWS, cross_attend=True, alibi_pos_bias=True, alibi_num_heads=2),
     {**IDS, "context": (4, "normal", (2, 5, WIDTH)), "context_lengths": [5, 3], "lengths": [11, 8]},
     {"context": "context", "outputs": LOOKED_AT},
     {"context": "context", "context_mask": "context_lengths", "mask": "lengths",
      "outputs": {"masked": "logits"}})
case("cross_attender", "only cross attention and feed-forward",
     transformer(TINY, {}, "CrossAttender"), {**IDS, "context": (5, "normal", (2, 5, WIDTH))},
     {"context": "context", "outputs": LOGITS})

case("mems_post_norm", "two segments with memories are the whole",
     transformer(SMALL, {"max_mem_len": 20}, pre_norm=False, rel_pos_bias=True), IDS,
     *SEGMENTS, {"whole": "logits"})
case("mems_pre_norm", "memories unnormed as zeta takes them; defined: normed, and the segments are the whole",
     transformer(SMALL, {"max_mem_len": 20, **WITHOUT_ROWS}), IDS, *SEGMENTS,
     {"numerics": "defined", "to": 5, "outputs": {"defined_first": "logits"}},
     {"numerics": "defined", "from": 5, "mems": 2, "outputs": {"defined_second": "logits"}},
     {"whole": "logits"})
case("mems_shifted", "3 rows kept; layer n reads what layer n + 1 left",
     transformer({**SMALL, "depth": 3}, {"max_mem_len": 3, "shift_mem_down": 1, **WITHOUT_ROWS}), IDS,
     {"to": 4, "outputs": {"segment0": "logits"}},
     {"from": 4, "to": 8, "mems": 0, "outputs": {"segment1": "logits"}},
     {"from": 8, "mems": 1, "outputs": {"segment2": "logits", "mems": "mems"}})
case("mems_xpos", "xPos with memories, an error in zeta: the segments are the whole",
     transformer(TURNING, {"max_mem_len": 20}, rotary_xpos=True, rotary_xpos_scale_base=16), IDS,
     {"numerics": "defined", "to": 5, "outputs": {"first": "logits"}},
     {"numerics": "defined", "from": 5, "mems": 0, "outputs": {"second": "logits"}},
     {"numerics": "defined", "outputs": {"whole": "logits"}})
case("mems_alibi", "distances right for each length; zeta keeps a longer call's table and cuts it wrongly",
     transformer(SMALL, {"max_mem_len": 20, **WITHOUT_ROWS}, alibi_pos_bias=True, pre_norm=False), IDS,
     {"to": 5, "outputs": {"first": "logits"}}, {"from": 5, "mems": 0, "outputs": {"second": "logits"}},
     {"whole": "logits"}, {"from": 5, "mems": 0, "table_of": 2, "outputs": {"kept_table_as_zeta": "logits"}})

case("feed_forwards", "GLU with GELU and SiLU, with its multiplied bias; squared ReLU; a norm behind it; no biases",
     *each(geglu={"ff_glu": True}, swiglu={"ff_glu": True, "ff_swish": True, "ff_glu_mult_bias": True},
           silu={"ff_swish": True}, relu_squared={"ff_relu_squared": True, "ff_post_act_ln": True},
           no_bias={"ff_no_bias": True}))
case("norms", "RMSNorm, with and without weights, ScaleNorm; post, sandwich, resiDual, DeepNorm, scaled residual",
     *each(rms={"use_rmsnorm": True}, simple_rms={"use_simple_rmsnorm": True}, scale={"use_scalenorm": True},
           post={"pre_norm": False}, sandwich={"sandwich_norm": True},
           resi_dual={"resi_dual": True, "resi_dual_scale": 0.5}, deepnorm={"deepnorm": True},
           scale_residual={"scale_residual": True, "scale_residual_constant": 1.5}))
case("layer_orders", "macaron, sandwich, PAR, an order of one's own; a GRU in place of the sum",
     *each(macaron={"macaron": True}, sandwich={"layers": {**TINY, "depth": 2}, "sandwich_coef": 1},
           par={"layers": {**TINY, "depth": 3}, "par_ratio": 3}, custom={"custom_layers": ["a", "f", "f", "a"]},
           gru={"gate_residual": True}))
case("attention_extras", "options of attention, one at a time",
     *each(talking_heads={"attn_talking_heads": True}, head_scale={"attn_head_scale": True},
           mem_kv={"attn_num_mem_kv": 2}, mem_kv_qk_norm={"attn_num_mem_kv": 2, "attn_qk_norm": True},
           on_attn={"attn_on_attn": True}, gate_values={"attn_gate_values": True},
           max_attend_past={"attn_max_attend_past": 4}, add_zero_kv={"attn_add_zero_kv": True},
           tensor_product={"attn_tensor_product": True}, shared_kv={"attn_shared_kv": True},
           value_dim_head={"attn_value_dim_head": 6}, shift_tokens={"shift_tokens": 1},
           residual_attn={"layers": {**TINY, "depth": 2}, "residual_attn": True},
           sparse_topk_as_zeta={"attn_sparse_topk": 3}))

case("vit", "patches as row, column, channel; LayerNorm, linear, LayerNorm; positions; the mean to classes",
     {"architectures": ["ViTransformerWrapper"], "image_size": 24, "patch_size": 8, "channels": 3,
      "num_classes": 5, "post_emb_norm": True, "attn_layers": {"type": "Encoder", **SMALL}},
     {"image": (6, "unit", (2, 3, 24, 24))},
     {"image": "image", "outputs": {"classes": "classes", "stem": "stem", "encoded": "encoded"}})
PICTURE = {"image": "image", "x": "text"}
UNIT = {"qk_norm": "defined", "score_scale": "zeta", "turn_values": "zeta", "norm_memories": "zeta"}
case("palme", "a picture, its text, its loss, greedy words; and as documented, queries and keys of length 1",
     palme(encoder_heads=2, decoder_depth=2, alibi_num_heads=1),
     {"image": (7, "unit", (2, 3, 24, 24)), "text": (7, "ids", (2, 10))},
     {**PICTURE, "outputs": {"encoded": "encoded", "logits": "logits"}},
     {**PICTURE, "kind": "loss", "outputs": {"loss": "loss"}},
     {**PICTURE, "outputs": {"hidden": "hidden"}},
     {**PICTURE, "kind": "generate", "to": 3, "steps": 8, "outputs": {"generated": "generated"}},
     {**PICTURE, "numerics": UNIT, "outputs": {"documented_flash_as_zeta": "logits"}},
     {**PICTURE, "numerics": {**UNIT, "score_scale": "defined"}, "outputs": {"documented": "logits"}})
case("palme_text_only", "the decoder as a language model",
     palme(encoder_heads=1, decoder_depth=1, use_abs_pos_emb=True, cross_attend=False, alibi_pos_bias=False,
           rotary_xpos=False, attn_flash=False),
     {"text": (8, "ids", (2, 10))}, {"x": "text", "outputs": LOGITS},
     {"x": "text", "kind": "loss", "outputs": {"loss": "loss"}})
WRAPPED = {"model": "net", "pad_value": 1, "ignore_index": 2}
case("loss_and_generate", "shifted cross entropy with targets passed over; greedy words past max_seq_len, "
     "an end token, a prompt of one axis; mask_prob has no effect",
     {"net": transformer(TINY, {"max_seq_len": 8})},
     {"text": [[13, 14, 21, 27, 1, 4, 23, 27, 7], [12, 7, 24, 7, 11, 18, 2, 2, 2]],
      "prompt": [[13, 14, 21], [12, 7, 24]]},
     {"kind": "loss", "x": "text", **WRAPPED, "outputs": {"loss": "loss"}},
     {"kind": "generate", "x": "prompt", "steps": 12, **WRAPPED,
      "outputs": {"generated": "generated"}},
     {"kind": "generate", "x": "prompt", "rows": 1, "steps": 5, **WRAPPED,
      "outputs": {"generated_of_one_axis": "one_axis"}},
     {"kind": "generate", "x": "prompt", "rows": 1, "steps": 12, "eos": "eos", **WRAPPED,
      "outputs": {"eos": "eos", "generated_to_eos": "generated"}},
     {"kind": "loss", "x": "text", "mask_prob": 0.4, **WRAPPED, "outputs": {"loss_with_mask_prob": "loss"}})
case("tables", "no model: slopes, biases, frequencies, buckets, filters of logits",
     {}, {"logits": (9, "wide", (3, VOCABULARY))}, {"kind": "tables", "outputs": {"": "tables"}})

SECOND = ("feed_forwards", "norms", "dynamic_pos", "kv_heads", "one_kv_head", "layer_orders")


def tier(name, output):
    if "gradient" in output or output in ("eos", "kept_table_as_zeta", "top_a_as_1_19_0"):
        return 0
    if name == "attention_extras":
        return 2 if output == "max_attend_past/logits" else 3
    return 3 if output == "gru/logits" else 2 if name in SECOND else 1
