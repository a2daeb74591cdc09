using System.Buffers.Binary;
using System.Diagnostics;

namespace VoicePlatform.Demo;

/// <summary>The caller's mouth and ears: flite and PocketSphinx as command-line tools, apart from the platform's own.</summary>
internal static class Tools
{
    public const int SampleRate = 16_000;

    private const string Model = "/usr/share/pocketsphinx/model/en-us";
    private const int WavHeader = 44;

    /// <summary>A sentence in another voice than the assistant's.</summary>
    public static async Task<short[]> SpeakAsync(string text, CancellationToken ct)
    {
        var file = Path.GetTempFileName();
        try
        {
            await RunAsync("flite", ["-voice", "rms", "-t", text, "-o", file], ct);
            var bytes = await File.ReadAllBytesAsync(file, ct);
            var samples = new short[(bytes.Length - WavHeader) / 2];
            Buffer.BlockCopy(bytes, WavHeader, samples, 0, samples.Length * 2);
            return samples;
        }
        finally
        {
            File.Delete(file);
        }
    }

    public static async Task<string> TranscribeAsync(ReadOnlyMemory<short> samples, CancellationToken ct)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, Wav(samples.Span), ct);
            var text = await RunAsync(
                "pocketsphinx_continuous",
                ["-infile", file, "-hmm", $"{Model}/en-us", "-lm", $"{Model}/en-us.lm.bin", "-dict", $"{Model}/cmudict-en-us.dict", "-logfn", "/dev/null"], ct);
            return string.Join(' ', text.Split((char[])['\n', ' '], StringSplitOptions.RemoveEmptyEntries));
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The sound of an Ogg Opus file, both channels together, by Xiph's own decoder.</summary>
    public static async Task<short[]> DecodeAsync(string path, CancellationToken ct)
    {
        var file = Path.GetTempFileName();
        try
        {
            await RunAsync("opusdec", ["--quiet", "--force-wav", "--force-stereo", "--rate", $"{SampleRate}", path, file], ct);
            var bytes = await File.ReadAllBytesAsync(file, ct);
            var both = new short[(bytes.Length - WavHeader) / 2];
            Buffer.BlockCopy(bytes, WavHeader, both, 0, both.Length * 2);
            return [.. both.Chunk(2).Where(pair => pair.Length == 2).Select(pair => (short)Math.Clamp(pair[0] + pair[1], short.MinValue, short.MaxValue))];
        }
        finally
        {
            File.Delete(file);
        }
    }

    public static byte[] Wav(ReadOnlySpan<short> samples)
    {
        var wav = new byte[WavHeader + (samples.Length * 2)];
        "RIFF"u8.CopyTo(wav);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(4), wav.Length - 8);
        "WAVEfmt "u8.CopyTo(wav.AsSpan(8));
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(16), 16);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(20), 1);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(22), 1);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(24), SampleRate);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(28), SampleRate * 2);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(32), 2);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(34), 16);
        "data"u8.CopyTo(wav.AsSpan(36));
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(40), samples.Length * 2);
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(samples).CopyTo(wav.AsSpan(WavHeader));
        return wav;
    }

    private static async Task<string> RunAsync(string program, string[] arguments, CancellationToken ct)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })
            ?? throw new InvalidOperationException($"{program} could not be started.");
        var errors = process.StandardError.ReadToEndAsync(ct);
        var output = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} failed: {await errors}");
    }
}
