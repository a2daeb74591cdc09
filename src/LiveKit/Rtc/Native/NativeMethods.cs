using System.Reflection;
using System.Runtime.InteropServices;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>The four C functions of LiveKit's client library.</summary>
internal static unsafe partial class NativeMethods
{
    private const string Library = "livekit_ffi";

    private static readonly Lock LoadGate = new();

    private static nint s_library;

    /// <summary>Loads the library. It stays loaded until the process ends: it has threads of its own and cannot be unloaded.</summary>
    /// <exception cref="RtcException">The file does not load, or is another library.</exception>
    public static void Load(string path)
    {
        lock (LoadGate)
        {
            if (s_library != 0)
            {
                return;
            }

            try
            {
                var library = NativeLibrary.Load(path);
                NativeLibrary.GetExport(library, "livekit_ffi_request");
                NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) => name == Library ? s_library : 0);
                s_library = library;
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
            {
                throw new RtcException($"The file '{path}' does not load as LiveKit's client library: {e.Message}", e);
            }
        }
    }

    [LibraryImport(Library, EntryPoint = "livekit_ffi_initialize", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void Initialize(
        delegate* unmanaged[Cdecl]<byte*, nuint, void> callback, [MarshalAs(UnmanagedType.U1)] bool captureLogs, string sdk, string version);

    /// <summary>Returns the handle that keeps the response alive, or 0 when the request was not understood.</summary>
    [LibraryImport(Library, EntryPoint = "livekit_ffi_request")]
    internal static partial ulong Request(byte* data, nuint length, byte** response, nuint* responseLength);

    [LibraryImport(Library, EntryPoint = "livekit_ffi_drop_handle")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool DropHandle(ulong handle);

    [LibraryImport(Library, EntryPoint = "livekit_ffi_dispose")]
    internal static partial void Dispose();
}
