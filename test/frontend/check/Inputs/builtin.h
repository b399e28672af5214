inline float lane(float x) { return x + threadIdx.x; }
