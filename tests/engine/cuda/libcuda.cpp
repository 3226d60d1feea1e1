// The functions of NVIDIA's driver that the engine calls, on the CPU: a module is the path of a library that
// was compiled from emulated.cpp. Where NVIDIA's header is installed, it checks that the functions are declared so.
#if __has_include(<cuda.h>)
#include <cuda.h>
#else
#include <stddef.h>
typedef int CUresult, CUdevice, CUdevice_attribute, CUfunction_attribute;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
#endif
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef int (*Launcher)(void *, unsigned, unsigned, unsigned, unsigned, void **);

struct CUmod_st { void *library; };
struct CUfunc_st { void *code; Launcher launcher; int most_shared; };

static int depth, last_fault;
static struct CUctx_st *const context = (struct CUctx_st *)0x40;

static CUresult error(int number) { return (CUresult)number; }

static const char *setting(const char *name, const char *usual) {
    const char *found = getenv(name);
    return found ? found : usual;
}

extern "C" {
int emulated_launches, emulated_stream;

CUresult cuInit(unsigned) { return error(0); }

CUresult cuGetErrorString(CUresult number, const char **text) {
    static const char *const faults[] = {"", "threads wait for each other", "shared memory is overrun",
                                         "a barrier that some threads miss", "a wrong shape"};
    *text = number == 999 ? faults[last_fault] : "invalid argument";
    return error(0);
}

CUresult cuDriverGetVersion(int *version) {
    *version = atoi(setting("EMULATED_DRIVER", "13000"));
    return error(0);
}

CUresult cuDeviceGet(CUdevice *device, int number) {
    *device = number;
    return error(number ? 101 : 0);
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice) {
    if (which == 75) *value = 9;
    else if (which == 76) *value = 0;
    else if (which == 97) *value = atoi(setting("EMULATED_SHARED_BYTES", "232448"));
    else return error(1);
    return error(0);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *found, CUdevice) {
    *found = context;
    return error(0);
}

CUresult cuCtxPushCurrent_v2(CUcontext given) {
    depth++;
    return error(given == context ? 0 : 201);
}

CUresult cuCtxPopCurrent_v2(CUcontext *found) {
    *found = context;
    return error(depth-- > 0 ? 0 : 201);
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    if (!depth) return error(201);
    void *library = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
    if (!library) return error(200);
    *module = (CUmodule)malloc(sizeof(struct CUmod_st));
    (*module)->library = library;
    return error(0);
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    void *code = dlsym(module->library, name);
    if (!depth || !code) return error(500);
    *function = (CUfunction)malloc(sizeof(struct CUfunc_st));
    (*function)->code = code, (*function)->most_shared = 48 * 1024;
    (*function)->launcher = (Launcher)dlsym(module->library, "emulated_launch");
    return error(0);
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute which, int value) {
    if (!depth || which != 8 || value > atoi(setting("EMULATED_SHARED_BYTES", "232448"))) return error(1);
    function->most_shared = value;
    return error(0);
}

CUresult cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                        unsigned threads_z, unsigned shared, CUstream stream, void **arguments, void **extra) {
    emulated_launches++;
    emulated_stream = (int)(size_t)stream;
    if (!depth || z != 1 || threads_y != 1 || threads_z != 1 || extra || !x || !y || y > 65535) return error(1);
    if (shared > (unsigned)function->most_shared) return error(1);
    last_fault = function->launcher(function->code, x, y, threads, shared, arguments);
    return error(last_fault ? 999 : 0);
}
}
