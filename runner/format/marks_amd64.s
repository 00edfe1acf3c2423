//go:build amd64 && !purego

#include "textflag.h"

// BYTES fills a register with one byte.
#define BYTES(byte, register) \
	MOVQ $byte, AX \
	MOVQ AX, register \
	PUNPCKLBW register, register \
	PUNPCKLBW register, register \
	PSHUFL $0, register, register

// WHERE sets the bits of 64 that say where the text in X0 to X3 is the byte in a
// register.
#define WHERE(byte, bits) \
	MOVO X0, X8 \
	MOVO X1, X9 \
	MOVO X2, X10 \
	MOVO X3, X11 \
	PCMPEQB byte, X8 \
	PCMPEQB byte, X9 \
	PCMPEQB byte, X10 \
	PCMPEQB byte, X11 \
	HIGH(X8, X9, X10, X11, bits)

// HIGH sets the bits of 64 to the highest ones of the bytes of four registers.
#define HIGH(a, b, c, d, bits) \
	PMOVMSKB a, AX \
	PMOVMSKB b, BX \
	PMOVMSKB c, R8 \
	PMOVMSKB d, R9 \
	SHLQ $16, BX \
	SHLQ $32, R8 \
	SHLQ $48, R9 \
	ORQ BX, AX \
	ORQ R9, R8 \
	ORQ R8, AX \
	MOVQ AX, bits

// func markBlocksSSE2(text *byte, blocks int, to *marks)
TEXT ·markBlocksSSE2(SB), NOSPLIT, $0-24
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ to+16(FP), DI
	BYTES(0x22, X4) // quote
	BYTES(0x2C, X5) // comma
	BYTES(0x0A, X6) // newline
	BYTES(0x0D, X7) // carriage return

block:
	MOVOU 0(SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	WHERE(X4, 0(DI))
	WHERE(X5, 8(DI))
	WHERE(X6, 16(DI))
	WHERE(X7, 24(DI))
	HIGH(X0, X1, X2, X3, 32(DI))
	ADDQ $64, SI
	ADDQ $40, DI
	DECQ CX
	JNZ block
	RET
