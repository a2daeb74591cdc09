using System.Buffers.Binary;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>The little of the ELF64 format that is needed to make a shared object load without the host it was linked for.</summary>
internal static class ElfFile
{
    private const int HeaderLength = 64;
    private const int SectionHeaderLength = 64;
    private const int SymbolLength = 24;
    private const uint DynamicSymbols = 11;
    private const int Weak = 2;
    private const int Global = 1;

    public static bool IsElf64(ReadOnlySpan<byte> file) =>
        file.Length >= HeaderLength && file.StartsWith("\u007fELF"u8) && file[4] == 2 && file[5] == 1;

    /// <summary>
    /// Makes undefined global symbols with this prefix weak, so that the dynamic linker leaves them null instead of refusing the file.
    /// </summary>
    /// <returns>How many symbols were changed.</returns>
    /// <exception cref="FormatException">The file's tables point outside of it.</exception>
    public static int WeakenUndefined(Span<byte> file, ReadOnlySpan<byte> prefix)
    {
        if (!IsElf64(file))
        {
            throw new FormatException("Not a 64-bit little-endian ELF file.");
        }

        var changed = 0;
        var sections = U64(file, 0x28);
        var sectionCount = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3C..]);
        for (var i = 0; i < sectionCount; i++)
        {
            var section = Slice(file, sections + ((ulong)i * SectionHeaderLength), SectionHeaderLength);
            if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) == DynamicSymbols)
            {
                var namesIndex = BinaryPrimitives.ReadUInt32LittleEndian(section[0x28..]);
                var namesSection = Slice(file, sections + ((ulong)namesIndex * SectionHeaderLength), SectionHeaderLength);
                changed += Weaken(Contents(file, section), Contents(file, namesSection), prefix);
            }
        }

        return changed;
    }

    private static int Weaken(Span<byte> symbols, ReadOnlySpan<byte> names, ReadOnlySpan<byte> prefix)
    {
        var changed = 0;
        for (; symbols.Length >= SymbolLength; symbols = symbols[SymbolLength..])
        {
            var name = BinaryPrimitives.ReadUInt32LittleEndian(symbols);
            var binding = symbols[4] >> 4;
            var definedIn = BinaryPrimitives.ReadUInt16LittleEndian(symbols[6..]);
            if (binding == Global && definedIn == 0 && name < names.Length && names[(int)name..].StartsWith(prefix))
            {
                symbols[4] = (byte)((Weak << 4) | (symbols[4] & 0x0F));
                changed++;
            }
        }

        return changed;
    }

    private static Span<byte> Contents(Span<byte> file, ReadOnlySpan<byte> section) => Slice(file, U64(section, 0x18), U64(section, 0x20));

    private static ulong U64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);

    private static Span<byte> Slice(Span<byte> file, ulong at, ulong length) =>
        at <= (ulong)file.Length && length <= (ulong)file.Length - at
            ? file.Slice((int)at, (int)length)
            : throw new FormatException("The ELF file's tables point outside of it.");
}
