using System.Collections;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A message's headers in their order. Names compare without case, and a compact name (RFC 3261, 7.3.3) is its long one.</summary>
internal sealed class SipHeaders : IReadOnlyList<(string Name, string Value)>
{
    private readonly List<(string Name, string Value)> _lines;

    public SipHeaders() => _lines = [];

    public SipHeaders(IEnumerable<(string Name, string Value)> lines) => _lines = [.. lines];

    public int Count => _lines.Count;

    public (string Name, string Value) this[int index] => _lines[index];

    /// <summary>The first value of a header, or null.</summary>
    public string? this[string name]
    {
        get
        {
            foreach (var (key, value) in _lines)
            {
                if (key.Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return value;
                }
            }

            return null;
        }
    }

    public static string LongName(string name) => name.Length != 1 ? name : char.ToLowerInvariant(name[0]) switch
    {
        'v' => "Via",
        'f' => "From",
        't' => "To",
        'i' => "Call-ID",
        'm' => "Contact",
        'l' => "Content-Length",
        'c' => "Content-Type",
        'e' => "Content-Encoding",
        'k' => "Supported",
        's' => "Subject",
        'x' => "Session-Expires",
        'r' => "Refer-To",
        'b' => "Referred-By",
        'o' => "Event",
        'u' => "Allow-Events",
        'a' => "Accept-Contact",
        'j' => "Reject-Contact",
        'd' => "Request-Disposition",
        'y' => "Identity",
        _ => name,
    };

    /// <summary>All lines of a header, each as it was written.</summary>
    public IEnumerable<string> All(string name) =>
        from line in _lines where line.Name.Equals(name, StringComparison.OrdinalIgnoreCase) select line.Value;

    /// <summary>All values of a header that may hold several in a line, apart at the commas outside of quotes and angle brackets.</summary>
    public IEnumerable<string> Values(string name) => All(name).SelectMany(HeaderText.SplitList);

    /// <summary>Whether a header of tokens (Supported, Allow, Require) lists one.</summary>
    public bool Lists(string name, string token) => Values(name).Contains(token, StringComparer.OrdinalIgnoreCase);

    public void Add(string name, string value) => _lines.Add((LongName(name), value));

    /// <summary>Replaces all lines of a header by one, in the first one's place.</summary>
    public void Set(string name, string value)
    {
        var at = _lines.FindIndex(l => l.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        if (at < 0)
        {
            Add(name, value);
            return;
        }

        _lines[at] = (LongName(name), value);
        for (var i = _lines.Count - 1; i > at; i--)
        {
            if (_lines[i].Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                _lines.RemoveAt(i);
            }
        }
    }

    public void Remove(string name) => _lines.RemoveAll(l => l.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    public IEnumerator<(string Name, string Value)> GetEnumerator() => _lines.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
