template <class... X> void launch(X...);
inline void run(float *x) {
  launch<<<1, 32>>>(x);
}
