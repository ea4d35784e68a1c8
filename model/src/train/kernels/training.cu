// Fused parts of the training operations for NVIDIA GPUs, in BF16 with sums in F32.
//
// Shapes and meaning of every argument: the functions of `cuda.rs`, one for each kernel here. What a kernel computes is
// what `plain.rs` computes with tensor operations, and the tests there hold the two against each other.

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

typedef __nv_bfloat16 bf16;

// Eight values that one thread reads or writes at once.
struct __align__(16) Eight {
    bf16 v[8];
};

__device__ __forceinline__ float half_at(const uint8_t *bytes) {
    // Blocks are not aligned to more than a byte.
    return __half2float(__ushort_as_half((unsigned short)(bytes[0] | bytes[1] << 8)));
}

// ---- sums over a block of threads ----------------------------------------------------------------------------------

__device__ __forceinline__ float warp_sum(float x) {
    for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int step = 16; step > 0; step >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

// Every thread gets the result; `shared` has 32 places.
__device__ __forceinline__ float block_sum(float x, float *shared) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_sum(x);
    __syncthreads();
    if (lane == 0) shared[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? shared[lane] : 0.f);
}

__device__ __forceinline__ float block_max(float x, float *shared) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) shared[warp] = x;
    __syncthreads();
    return warp_max(lane < warps ? shared[lane] : -INFINITY);
}

// ---- GGUF blocks to BF16 -------------------------------------------------------------------------------------------
// `first` is the place in the block of the first of eight consecutive values. Formats: ggml's `ggml-common.h`.

struct Q4_0 {
    static constexpr int VALUES = 32, BYTES = 18;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        const float d = half_at(block);
        const uint8_t *q = block + 2 + first % 16;
        const int shift = first / 16 * 4;
        for (int i = 0; i < 8; i++) out[i] = d * (float)((q[i] >> shift & 15) - 8);
    }
};

struct Q4_1 {
    static constexpr int VALUES = 32, BYTES = 20;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        const float d = half_at(block), m = half_at(block + 2);
        const uint8_t *q = block + 4 + first % 16;
        const int shift = first / 16 * 4;
        for (int i = 0; i < 8; i++) out[i] = d * (float)(q[i] >> shift & 15) + m;
    }
};

__device__ __forceinline__ int fifth_bit(const uint8_t *high, int place) {
    return high[place / 8] >> place % 8 & 1;
}

struct Q5_0 {
    static constexpr int VALUES = 32, BYTES = 22;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        const float d = half_at(block);
        const uint8_t *q = block + 6 + first % 16;
        const int shift = first / 16 * 4;
        for (int i = 0; i < 8; i++) {
            const int low = q[i] >> shift & 15;
            out[i] = d * (float)((low | fifth_bit(block + 2, first + i) << 4) - 16);
        }
    }
};

struct Q5_1 {
    static constexpr int VALUES = 32, BYTES = 24;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        const float d = half_at(block), m = half_at(block + 2);
        const uint8_t *q = block + 8 + first % 16;
        const int shift = first / 16 * 4;
        for (int i = 0; i < 8; i++) {
            const int low = q[i] >> shift & 15;
            out[i] = d * (float)(low | fifth_bit(block + 4, first + i) << 4) + m;
        }
    }
};

struct Q8_0 {
    static constexpr int VALUES = 32, BYTES = 34;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        const float d = half_at(block);
        const int8_t *q = (const int8_t *)block + 2 + first;
        for (int i = 0; i < 8; i++) out[i] = d * (float)q[i];
    }
};

// Scale and minimum of 32 values of Q4_K and Q5_K, six bits each.
__device__ __forceinline__ void scale_and_minimum(const uint8_t *scales, int j, float *scale, float *minimum) {
    if (j < 4) {
        *scale = (float)(scales[j] & 63);
        *minimum = (float)(scales[j + 4] & 63);
    } else {
        *scale = (float)((scales[j + 4] & 15) | (scales[j - 4] >> 6) << 4);
        *minimum = (float)((scales[j + 4] >> 4) | (scales[j] >> 6) << 4);
    }
}

struct Q4_K {
    static constexpr int VALUES = 256, BYTES = 144;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        float scale, minimum;
        scale_and_minimum(block + 4, first / 32, &scale, &minimum);
        scale *= half_at(block);
        minimum *= half_at(block + 2);
        const uint8_t *q = block + 16 + first / 64 * 32 + first % 32;
        const int shift = first / 32 % 2 * 4;
        for (int i = 0; i < 8; i++) out[i] = scale * (float)(q[i] >> shift & 15) - minimum;
    }
};

struct Q5_K {
    static constexpr int VALUES = 256, BYTES = 176;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        float scale, minimum;
        scale_and_minimum(block + 4, first / 32, &scale, &minimum);
        scale *= half_at(block);
        minimum *= half_at(block + 2);
        const uint8_t *high = block + 16 + first % 32;
        const uint8_t *q = block + 48 + first / 64 * 32 + first % 32;
        const int shift = first / 32 % 2 * 4;
        for (int i = 0; i < 8; i++) {
            const int bit = high[i] >> first / 32 & 1;
            out[i] = scale * (float)((q[i] >> shift & 15) | bit << 4) - minimum;
        }
    }
};

struct Q6_K {
    static constexpr int VALUES = 256, BYTES = 210;
    static __device__ void eight(const uint8_t *block, int first, float *out) {
        const int half = first / 128, quarter = first % 128 / 32, place = first % 32;
        const uint8_t *low = block + 64 * half + place + quarter % 2 * 32;
        const uint8_t *high = block + 128 + 32 * half + place;
        const int8_t *scales = (const int8_t *)block + 192 + 8 * half + place / 16 + 2 * quarter;
        const float d = half_at(block + 208) * (float)*scales;
        for (int i = 0; i < 8; i++) {
            const int q = (low[i] >> quarter / 2 * 4 & 15) | (high[i] >> 2 * quarter & 3) << 4;
            out[i] = d * (float)(q - 32);
        }
    }
};

// A thread makes eight values. With `rows`, row i of the result is row rows[i] of the matrix, else row i.
template <typename T>
__device__ void dequantize(const uint8_t *blocks, const uint32_t *rows, bf16 *out, int64_t eights, int width) {
    const int64_t index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= eights) return;
    const int64_t per_row = width / 8;
    const int64_t row = rows ? rows[index / per_row] : index / per_row;
    const int column = (int)(index % per_row) * 8;
    const uint8_t *block = blocks + (row * (width / T::VALUES) + column / T::VALUES) * T::BYTES;
    float values[8];
    T::eight(block, column % T::VALUES, values);
    Eight result;
    for (int i = 0; i < 8; i++) result.v[i] = __float2bfloat16(values[i]);
    ((Eight *)out)[index] = result;
}

#define DEQUANTIZE(NAME, TYPE)                                                                                          \
    extern "C" __global__ void NAME(const uint8_t *blocks, const uint32_t *rows, bf16 *out, int64_t eights, int width) {   \
        dequantize<TYPE>(blocks, rows, out, eights, width);                                                             \
    }
DEQUANTIZE(dequantize_q4_0, Q4_0)
DEQUANTIZE(dequantize_q4_1, Q4_1)
DEQUANTIZE(dequantize_q5_0, Q5_0)
DEQUANTIZE(dequantize_q5_1, Q5_1)
DEQUANTIZE(dequantize_q8_0, Q8_0)
DEQUANTIZE(dequantize_q4_k, Q4_K)
DEQUANTIZE(dequantize_q5_k, Q5_K)
DEQUANTIZE(dequantize_q6_k, Q6_K)

// ---- RMS norm ------------------------------------------------------------------------------------------------------
// A block of threads has a row. dx may add to what stands there: the gradient that passes the norm by.

extern "C" __global__ void rms_norm_backward(const bf16 *x, const bf16 *weight, const bf16 *dy, bf16 *dx, int width,
                                             float epsilon, int add) {
    __shared__ float shared[32];
    const Eight *xs = (const Eight *)(x + (int64_t)blockIdx.x * width), *ws = (const Eight *)weight;
    const Eight *dys = (const Eight *)(dy + (int64_t)blockIdx.x * width);
    Eight *dxs = (Eight *)(dx + (int64_t)blockIdx.x * width);
    float squares = 0.f, pull = 0.f;
    for (int i = threadIdx.x; i < width / 8; i += blockDim.x) {
        const Eight a = xs[i], w = ws[i], g = dys[i];
        for (int j = 0; j < 8; j++) {
            const float value = __bfloat162float(a.v[j]);
            squares += value * value;
            pull += value * __bfloat162float(w.v[j]) * __bfloat162float(g.v[j]);
        }
    }
    squares = block_sum(squares, shared);
    pull = block_sum(pull, shared);
    const float r = rsqrtf(squares / width + epsilon);
    pull *= r * r * r / width;
    for (int i = threadIdx.x; i < width / 8; i += blockDim.x) {
        const Eight a = xs[i], w = ws[i], g = dys[i];
        Eight result = add ? dxs[i] : Eight{};
        for (int j = 0; j < 8; j++) {
            const float h = __bfloat162float(w.v[j]) * __bfloat162float(g.v[j]);
            const float change = r * h - pull * __bfloat162float(a.v[j]);
            result.v[j] = __float2bfloat16(add ? __bfloat162float(result.v[j]) + change : change);
        }
        dxs[i] = result;
    }
}

// ---- SwiGLU --------------------------------------------------------------------------------------------------------

extern "C" __global__ void swiglu(const bf16 *gate, const bf16 *up, bf16 *out, int64_t eights) {
    const int64_t index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= eights) return;
    const Eight g = ((const Eight *)gate)[index], u = ((const Eight *)up)[index];
    Eight result;
    for (int i = 0; i < 8; i++) {
        const float x = __bfloat162float(g.v[i]);
        result.v[i] = __float2bfloat16(x / (1.f + __expf(-x)) * __bfloat162float(u.v[i]));
    }
    ((Eight *)out)[index] = result;
}

extern "C" __global__ void swiglu_backward(const bf16 *gate, const bf16 *up, const bf16 *dy, bf16 *d_gate, bf16 *d_up,
                                           int64_t eights) {
    const int64_t index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= eights) return;
    const Eight g = ((const Eight *)gate)[index], u = ((const Eight *)up)[index], d = ((const Eight *)dy)[index];
    Eight of_gate, of_up;
    for (int i = 0; i < 8; i++) {
        const float x = __bfloat162float(g.v[i]), gradient = __bfloat162float(d.v[i]);
        const float sigmoid = 1.f / (1.f + __expf(-x)), silu = x * sigmoid;
        of_gate.v[i] = __float2bfloat16(gradient * __bfloat162float(u.v[i]) * (sigmoid + silu * (1.f - sigmoid)));
        of_up.v[i] = __float2bfloat16(gradient * silu);
    }
    ((Eight *)d_gate)[index] = of_gate;
    ((Eight *)d_up)[index] = of_up;
}

// ---- causal softmax ------------------------------------------------------------------------------------------------
// A warp has a row of scores. Rows are `tokens` int64_t and come in groups of `tokens`: row r looks at the first
// r % tokens + 1 columns. What lies behind them becomes 0.

extern "C" __global__ void causal_softmax(bf16 *scores, int64_t rows, int tokens, float scale) {
    const int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= rows) return;
    const int lane = threadIdx.x % 32, seen = (int)(row % tokens) + 1;
    bf16 *line = scores + row * tokens;
    float most = -INFINITY;
    for (int i = lane; i < seen; i += 32) most = fmaxf(most, __bfloat162float(line[i]));
    most = warp_max(most) * scale;
    float sum = 0.f;
    for (int i = lane; i < seen; i += 32) sum += __expf(__bfloat162float(line[i]) * scale - most);
    const float factor = 1.f / warp_sum(sum);
    for (int i = lane; i < seen; i += 32) {
        line[i] = __float2bfloat16(__expf(__bfloat162float(line[i]) * scale - most) * factor);
    }
    for (int i = seen + (lane - seen % 32 + 32) % 32; i < tokens; i += 32) line[i] = __float2bfloat16(0.f);
}

// The gradient by the scores, where that by the weights stands.
extern "C" __global__ void causal_softmax_backward(const bf16 *weights, bf16 *gradient, int64_t rows, int tokens,
                                                   float scale) {
    const int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= rows) return;
    const int lane = threadIdx.x % 32, seen = (int)(row % tokens) + 1;
    const bf16 *p = weights + row * tokens;
    bf16 *d = gradient + row * tokens;
    float delta = 0.f;
    for (int i = lane; i < seen; i += 32) delta += __bfloat162float(p[i]) * __bfloat162float(d[i]);
    delta = warp_sum(delta);
    for (int i = lane; i < seen; i += 32) {
        d[i] = __float2bfloat16(scale * __bfloat162float(p[i]) * (__bfloat162float(d[i]) - delta));
    }
    for (int i = seen + (lane - seen % 32 + 32) % 32; i < tokens; i += 32) d[i] = __float2bfloat16(0.f);
}

// ---- heads ---------------------------------------------------------------------------------------------------------
// Between (batch, tokens, heads, width) and (batch, heads, tokens, width). With `cos` and `sin`, (tokens, width / 2),
// pairs that stand half a head apart are rotated on the way; `direction` −1 rotates back. A thread has a pair.

extern "C" __global__ void move_heads(const bf16 *x, const bf16 *cos, const bf16 *sin, bf16 *out, int64_t pairs, int tokens,
                                      int heads, int width, int split, float direction) {
    const int64_t index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= pairs) return;
    const int half = width / 2;
    const int place = (int)(index % half);
    const int64_t line = index / half;
    // Threads follow the order of the result.
    int token, head;
    int64_t batch;
    if (split) {
        token = (int)(line % tokens);
        head = (int)(line / tokens % heads);
        batch = line / tokens / heads;
    } else {
        head = (int)(line % heads);
        token = (int)(line / heads % tokens);
        batch = line / heads / tokens;
    }
    const int64_t together = ((batch * tokens + token) * heads + head) * width + place;
    const int64_t apart = ((batch * heads + head) * tokens + token) * width + place;
    const int64_t from = split ? together : apart, to = split ? apart : together;
    float a = __bfloat162float(x[from]), b = __bfloat162float(x[from + half]);
    if (cos) {
        const float c = __bfloat162float(cos[token * half + place]);
        const float s = direction * __bfloat162float(sin[token * half + place]);
        const float turned = a * c - b * s;
        b = b * c + a * s;
        a = turned;
    }
    out[to] = __float2bfloat16(a);
    out[to + half] = __float2bfloat16(b);
}

// ---- cross entropy -------------------------------------------------------------------------------------------------
// A block of threads has a row of logits: its loss, and where the logits stood their gradient, softmax − onehot.

extern "C" __global__ void cross_entropy(bf16 *logits, const uint32_t *targets, float *losses, int vocabulary) {
    __shared__ float shared[32];
    bf16 *line = logits + (int64_t)blockIdx.x * vocabulary;
    const uint32_t target = targets[blockIdx.x];
    float most = -INFINITY, sum = 0.f;
    for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        const float logit = __bfloat162float(line[i]);
        if (logit > most) {
            sum *= __expf(most - logit);
            most = logit;
        }
        sum += __expf(logit - most);
    }
    const float all = block_max(most, shared);
    sum = block_sum(sum * __expf(most - all), shared);
    if (threadIdx.x == 0) losses[blockIdx.x] = logf(sum) + all - __bfloat162float(line[target]);
    __syncthreads();
    for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        const float share = __expf(__bfloat162float(line[i]) - all) / sum;
        line[i] = __float2bfloat16(i == target ? share - 1.f : share);
    }
}

// ---- bias ----------------------------------------------------------------------------------------------------------

extern "C" __global__ void add_bias(bf16 *y, const bf16 *bias, int64_t eights, int width) {
    const int64_t index = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= eights) return;
    Eight a = ((Eight *)y)[index];
    const Eight b = ((const Eight *)bias)[index % (width / 8)];
    for (int i = 0; i < 8; i++) a.v[i] = __float2bfloat16(__bfloat162float(a.v[i]) + __bfloat162float(b.v[i]));
    ((Eight *)y)[index] = a;
}
