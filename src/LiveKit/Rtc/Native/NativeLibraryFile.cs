using System.Security.Cryptography;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>
/// Makes LiveKit's client library loadable. A plain <c>liblivekit_ffi</c> is used as it is. The file of LiveKit's npm package also wants
/// Node's <c>napi_*</c> functions, and is linked so that it does not load without them; of that file a copy is made in which they are weak.
/// </summary>
internal static class NativeLibraryFile
{
    /// <summary>The path to load.</summary>
    /// <param name="cacheDirectory">Where a copy goes if one is needed, named by the original's content.</param>
    /// <exception cref="RtcException">There is no such file, or it is not the library; one sentence.</exception>
    public static string Prepare(string path, string cacheDirectory)
    {
        try
        {
            return PrepareFile(path, cacheDirectory);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new RtcException($"LiveKit's client library is not at '{path}'; fetch it with eng/livekit-native or name another file.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RtcException($"LiveKit's client library at '{path}' could not be made ready: {e.Message}", e);
        }
        catch (FormatException e)
        {
            throw new RtcException($"The file '{path}' is damaged: {e.Message}", e);
        }
    }

    private static string PrepareFile(string path, string cacheDirectory)
    {
        if (!OperatingSystem.IsLinux())
        {
            return File.Exists(path) ? Path.GetFullPath(path) : throw new FileNotFoundException(null, path);
        }

        var file = File.ReadAllBytes(path);
        if (!ElfFile.IsElf64(file))
        {
            throw new RtcException($"The file '{path}' is not a Linux library for 64-bit machines.");
        }

        var copy = Path.Combine(cacheDirectory, $"livekit-{Convert.ToHexStringLower(SHA256.HashData(file).AsSpan(0, 12))}.so");
        if (File.Exists(copy))
        {
            return Path.GetFullPath(copy);
        }

        if (ElfFile.WeakenUndefined(file, "napi_"u8) == 0)
        {
            return Path.GetFullPath(path);
        }

        Directory.CreateDirectory(cacheDirectory);
        // Two processes may do this at once: each writes a file of its own, and the rename is atomic.
        var partial = $"{copy}.{Environment.ProcessId}";
        File.WriteAllBytes(partial, file);
        File.Move(partial, copy, overwrite: true);
        return Path.GetFullPath(copy);
    }
}
