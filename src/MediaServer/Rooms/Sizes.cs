using System.Text;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Something to be stored is larger than this server keeps.</summary>
internal sealed class TooLargeException(string message) : Exception(message);

/// <summary>Checks what participants and callers want stored.</summary>
internal static class Sizes
{
    /// <summary>One sentence when a change is too large, else null.</summary>
    /// <param name="present">The attributes there are already; the change is counted on top of them.</param>
    public static string? Refuse(
        string? name,
        string? metadata,
        IEnumerable<KeyValuePair<string, string>>? attributes,
        IReadOnlyDictionary<string, string>? present = null)
    {
        if (name is { Length: > Limits.NameLength })
        {
            return $"name is longer than {Limits.NameLength} characters";
        }

        if (metadata is not null && Encoding.UTF8.GetByteCount(metadata) > Limits.MetadataBytes)
        {
            return $"metadata is larger than {Limits.MetadataBytes} bytes";
        }

        if (attributes is not null)
        {
            var merged = new Dictionary<string, string>(present ?? new Dictionary<string, string>(StringComparer.Ordinal), StringComparer.Ordinal);
            foreach (var (key, value) in attributes)
            {
                merged[key] = value;
            }

            if (merged.Sum(pair => (long)Encoding.UTF8.GetByteCount(pair.Key) + Encoding.UTF8.GetByteCount(pair.Value)) > Limits.AttributesBytes)
            {
                return $"attributes are larger than {Limits.AttributesBytes} bytes";
            }
        }

        return null;
    }
}
