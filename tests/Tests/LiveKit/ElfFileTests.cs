using System.Buffers.Binary;
using System.Text;
using VoicePlatform.LiveKit.Rtc;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class ElfFileTests
{
    private const int Symbols = 64;
    private const int Names = Symbols + (4 * 24);
    private const int Sections = 256;

    [Test]
    public void Only_undefined_global_symbols_with_the_prefix_become_weak()
    {
        var file = Library();

        Assert.That(ElfFile.WeakenUndefined(file, "napi_"u8), Is.EqualTo(1));
        Assert.That(Enumerable.Range(0, 4).Select(i => (int)file[Symbols + (i * 24) + 4]), Is.EqualTo(new[] { 0x00, 0x22, 0x12, 0x12 }));
        Assert.That(ElfFile.WeakenUndefined(file, "napi_"u8), Is.Zero);
    }

    [Test]
    public void A_file_that_is_no_library_is_refused() =>
        Assert.Throws<FormatException>(() => ElfFile.WeakenUndefined("#!/bin/sh"u8.ToArray(), "napi_"u8));

    [Test]
    public void Damaged_tables_are_refused_never_followed()
    {
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            var file = Library();
            for (var n = random.Next(1, 6); n > 0; n--)
            {
                file[random.Next(5, file.Length)] = (byte)random.Next(256);
            }

            try
            {
                ElfFile.WeakenUndefined(file.AsSpan(0, random.Next(file.Length + 1)), "napi_"u8);
            }
            catch (FormatException)
            {
                // Refused, as it should be.
            }
        }
    }

    [Test]
    public void A_missing_library_is_one_clear_sentence()
    {
        var e = Assert.Throws<RtcException>(() => NativeLibraryFile.Prepare("/nowhere/lib.node", "/nowhere"))!;

        Assert.That(e.Message, Is.EqualTo("LiveKit's client library is not at '/nowhere/lib.node'; fetch it with eng/livekit-native or name another file."));
    }

    [Test]
    [Platform("Linux")]
    public void A_library_that_needs_nothing_is_used_where_it_is()
    {
        var directory = Directory.CreateTempSubdirectory("livekit-test");
        try
        {
            var path = Path.Combine(directory.FullName, "lib.so");
            var file = Library();
            ElfFile.WeakenUndefined(file, "napi_"u8);
            File.WriteAllBytes(path, file);
            Assert.That(NativeLibraryFile.Prepare(path, directory.FullName), Is.EqualTo(path));

            File.WriteAllBytes(path, Library());
            var copy = NativeLibraryFile.Prepare(path, directory.FullName);
            Assert.That(copy, Is.Not.EqualTo(path));
            Assert.That(File.ReadAllBytes(copy), Is.EqualTo(file));
            Assert.That(NativeLibraryFile.Prepare(path, directory.FullName), Is.EqualTo(copy));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>An ELF file with four symbols: none, napi_a undefined, napi_b defined, other undefined.</summary>
    private static byte[] Library()
    {
        var file = new byte[Sections + (2 * 64)];
        "\u007fELF"u8.CopyTo(file);
        (file[4], file[5]) = (2, 1);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(0x28), Sections);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x3C), 2);
        Encoding.ASCII.GetBytes("\0napi_a\0napi_b\0other\0").CopyTo(file, Names);
        Symbol(file, 1, name: 1, section: 0);
        Symbol(file, 2, name: 8, section: 5);
        Symbol(file, 3, name: 15, section: 0);
        Section(file, 0, type: 11, Symbols, 4 * 24, link: 1);
        Section(file, 1, type: 3, Names, 21, link: 0);
        return file;
    }

    private static void Symbol(byte[] file, int index, uint name, ushort section)
    {
        var symbol = file.AsSpan(Symbols + (index * 24));
        BinaryPrimitives.WriteUInt32LittleEndian(symbol, name);
        symbol[4] = 0x12;
        BinaryPrimitives.WriteUInt16LittleEndian(symbol[6..], section);
    }

    private static void Section(byte[] file, int index, uint type, ulong at, ulong length, uint link)
    {
        var section = file.AsSpan(Sections + (index * 64));
        BinaryPrimitives.WriteUInt32LittleEndian(section[4..], type);
        BinaryPrimitives.WriteUInt64LittleEndian(section[0x18..], at);
        BinaryPrimitives.WriteUInt64LittleEndian(section[0x20..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(section[0x28..], link);
    }
}
