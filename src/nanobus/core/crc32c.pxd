"""CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): the checksum of a slot.

The processor's own instruction where it has one (SSE 4.2, found at run time; ARMv8 CRC, found at compile time), else
bit-sliced by nibbles from a 16-entry table. `crc32c_table` is that fallback by name, so that tests can compare the two.
"""
from libc.stdint cimport uint8_t, uint32_t


cdef extern from *:
    """
    #ifndef NANOBUS_CRC32C
    #define NANOBUS_CRC32C
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__ARM_FEATURE_CRC32)
    #include <arm_acle.h>
    #endif

    static inline uint32_t nb_crc32c_table(uint32_t crc, const uint8_t *bytes, size_t size) {
        /* Entry n is the remainder of the nibble n: 0x105EC76F is the nibble 1 pushed through the polynomial. */
        static const uint32_t remainder[16] = {
            0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
            0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
        };
        crc = ~crc;
        for (size_t i = 0; i < size; i++) {
            crc ^= bytes[i];
            crc = (crc >> 4) ^ remainder[crc & 15];
            crc = (crc >> 4) ^ remainder[crc & 15];
        }
        return ~crc;
    }

    #if defined(__x86_64__)
    __attribute__((target("sse4.2")))
    static inline uint32_t nb_crc32c_instruction(uint32_t crc, const uint8_t *bytes, size_t size) {
        uint64_t sum = (uint32_t) ~crc;
        for (; size >= 8; size -= 8, bytes += 8) {
            uint64_t word;
            memcpy(&word, bytes, 8);
            sum = __builtin_ia32_crc32di(sum, word);
        }
        for (; size; size--, bytes++)
            sum = __builtin_ia32_crc32qi((uint32_t) sum, *bytes);
        return ~(uint32_t) sum;
    }
    static inline uint32_t nb_crc32c(uint32_t crc, const uint8_t *bytes, size_t size) {
        return __builtin_cpu_supports("sse4.2") ? nb_crc32c_instruction(crc, bytes, size)
                                                : nb_crc32c_table(crc, bytes, size);
    }
    #elif defined(__ARM_FEATURE_CRC32)
    static inline uint32_t nb_crc32c(uint32_t crc, const uint8_t *bytes, size_t size) {
        crc = ~crc;
        for (; size >= 8; size -= 8, bytes += 8) {
            uint64_t word;
            memcpy(&word, bytes, 8);
            crc = __crc32cd(crc, word);
        }
        for (; size; size--, bytes++)
            crc = __crc32cb(crc, *bytes);
        return ~crc;
    }
    #else
    static inline uint32_t nb_crc32c(uint32_t crc, const uint8_t *bytes, size_t size) {
        return nb_crc32c_table(crc, bytes, size);
    }
    #endif
    #endif
    """
    uint32_t crc32c "nb_crc32c"(uint32_t crc, const uint8_t *bytes, size_t size) noexcept nogil
    uint32_t crc32c_table "nb_crc32c_table"(uint32_t crc, const uint8_t *bytes, size_t size) noexcept nogil
