using System.Buffers.Text;
using System.IO.Compression;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Signal;

/// <summary>Reads the <c>join_request</c> query parameter: base64 of a wrapped, possibly gzipped join request.</summary>
internal static class JoinRequests
{
    /// <summary>Null and one sentence when it cannot be read. Base64 and base64url, with or without padding, are taken.</summary>
    public static JoinRequest? TryRead(string encoded, out string refusal)
    {
        refusal = "";
        try
        {
            var wrapped = WrappedJoinRequest.Parser.ParseFrom(Decode(encoded));
            var bytes = wrapped.Compression switch
            {
                WrappedJoinRequest.Types.Compression.None => wrapped.JoinRequest.ToByteArray(),
                WrappedJoinRequest.Types.Compression.Gzip => Inflate(wrapped.JoinRequest),
                _ => throw new FormatException("its compression is not known"),
            };
            return JoinRequest.Parser.ParseFrom(bytes);
        }
        catch (Exception e) when (e is FormatException or InvalidProtocolBufferException or InvalidDataException)
        {
            refusal = $"join_request cannot be read: {e.Message}";
            return null;
        }
    }

    private static byte[] Decode(string encoded)
    {
        // A '+' that a client did not escape arrives as a space.
        var url = encoded.Replace(' ', '-').Replace('+', '-').Replace('/', '_').TrimEnd('=');
        return Base64Url.DecodeFromChars(url);
    }

    private static byte[] Inflate(ByteString compressed)
    {
        using var source = new MemoryStream(compressed.ToByteArray(), writable: false);
        using var gzip = new GZipStream(source, CompressionMode.Decompress);
        using var plain = new MemoryStream();
        Span<byte> buffer = stackalloc byte[4096];
        int read;
        while ((read = gzip.Read(buffer)) > 0)
        {
            // A small bomb would otherwise fill the memory.
            if (plain.Length + read > Limits.JoinRequestBytes)
            {
                throw new InvalidDataException("it is too long");
            }

            plain.Write(buffer[..read]);
        }

        return plain.ToArray();
    }
}
